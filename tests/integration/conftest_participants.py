"""Participants under test: the service of the kit's README, and each of the shop's, on a database of its own.

They run in the test's own event loop, so that a test can hold one call at a chosen point while it makes another. Only
a process shows signals and exit codes: test_kit_process is about those.
"""

from __future__ import annotations

import importlib
import re
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from kompensa_dev.checkout import checkout
from kompensa_dev.postgres import Login
from kompensa_participant import Service
from kompensa_participant.migrations import migrate
from kompensa_participant.settings import Settings

Serve = Callable[[Service, Login], AbstractAsyncContextManager["Participant"]]


@dataclass(frozen=True, kw_only=True)
class SagaCall:
    """The calls of one saga to one of its steps."""

    client: httpx.AsyncClient
    step: str = "a-step"
    saga_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    async def action(self, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        return await self._post("action", path, body, headers)

    async def compensation(self, path: str, body: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        return await self._post("compensation", path, body or {}, headers)

    async def probe(self, direction: str) -> dict[str, Any]:
        reply = await self.client.get(f"/operations/{self.saga_id}/{self.step}/{direction}")
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    async def _post(self, direction: str, path: str, body: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        sent = {
            "Idempotency-Key": f"{self.saga_id}/{self.step}/{direction}",
            "Saga-Id": self.saga_id,
            "Saga-Step": self.step,
            "Saga-Direction": direction,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return await self.client.post(path, json={"sagaId": self.saga_id, **body}, headers=sent)


@dataclass(frozen=True, kw_only=True)
class Participant:
    """A service that answers, and its database as its own role sees it."""

    client: httpx.AsyncClient
    login: Login

    def saga(self, step: str = "a-step") -> SagaCall:
        """A new saga at one of its steps."""
        return SagaCall(client=self.client, step=step)

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """The committed rows that a query returns."""
        with psycopg.connect(self.login.url, row_factory=dict_row) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def value(self, query: str, *values: object) -> Any:
        """The one value of the one row."""
        (row,) = self.rows(query, *values)
        (found,) = row.values()
        return found


@asynccontextmanager
async def serve(service: Service, login: Login) -> AsyncIterator[Participant]:
    """Migrate the service's database and answer from it, with the fault switch on."""
    migrate(service.name, url=login.url, schema=service.name)
    async with answering(service, login) as participant:
        yield participant


@asynccontextmanager
async def answering(service: Service, login: Login, *, caller_tokens: Path | None = None) -> AsyncIterator[Participant]:
    """Answer from a database that is migrated already, with the fault switch on, and check callers if tokens exist."""
    tokens = str(caller_tokens) if caller_tokens else None
    app = service.app(Settings(database_url=login.url, faults_enabled=True, caller_tokens_dir=tokens))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://participant", timeout=30) as client,
    ):
        yield Participant(client=client, login=login)


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The participant of the kit's README, written file by file as the README asks its reader to."""
    text = (checkout() / "services/kit/README.md").read_text(encoding="utf-8")
    folder = tmp_path_factory.mktemp("example")
    files = re.findall(r"^`(points/\S+\.py)`:\n\n```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(files) == 3
    for name, content in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def points_module(example_folder: Path) -> Iterator[Any]:
    """The README's `points.service`, imported."""
    sys.path.insert(0, str(example_folder))
    yield importlib.import_module("points.service")
    sys.path.remove(str(example_folder))


@pytest.fixture
async def points(points_module: Any, database: Login) -> AsyncIterator[Participant]:
    """The README's participant."""
    async with serve(points_module.service, database) as participant:
        yield participant
