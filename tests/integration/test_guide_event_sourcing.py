"""docs/guides/event-source-an-aggregate.md, followed to the letter on a PostgreSQL."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kompensa_dev.checkout import checkout
from kompensa_dev.http import answers_ok
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run
from tests.support.http import call

TEXT = (checkout() / "docs/guides/event-source-an-aggregate.md").read_text(encoding="utf-8")
BEFORE, CHANGED = TEXT.split("## 7. Change the form of an event")
# A file of the guide: its name in backticks, then a block.
FILE = re.compile(r"^`([a-z_./0-9A-Z-]+\.(?:py|json))`:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
(TRIED,) = re.findall(r"^```sh\n(api=.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
(SHOWN,) = re.findall(r"^```text\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
VARYING = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[\d:.]+Z")


def write(folder: Path, text: str) -> int:
    """Write the files of a part of the guide, and count them."""
    files = dict(FILE.findall(text))
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return len(files)


def replace(path: Path, old: str, new: str) -> None:
    """Replace what the pattern finds, once."""
    text, count = re.subn(old, lambda _: new, path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert count == 1
    path.write_text(text, encoding="utf-8")


@dataclass
class GiftCards:
    """The guide's folder, its database, and the process that serves."""

    run: Run
    folder: Path
    owner: Login
    serving: Login
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def migrate(self) -> None:
        self.run.run_to_end(self._program("migrate", self.owner, SERVING_ROLE=self.serving.username), timeout=60)

    def serve(self) -> Process:
        process = self.run.start(self._program("serve", self.serving))
        process.wait_ready(lambda: answers_ok(f"{self.url}/readyz"), what="/readyz", timeout=60)
        return process

    def _program(self, verb: str, login: Login, **more: str) -> Program:
        environment = {
            "DATABASE_URL": login.url,
            "PYTHONPATH": str(self.folder),
            "HOST": HOST,
            "PORT": str(self.port),
            **more,
        }
        argv = [sys.executable, "-m", "giftcards", verb]
        return Program(name=f"giftcards-{verb}-{secrets.token_hex(2)}", argv=argv, environment=environment)


@pytest.fixture
def cards(run: Run, postgres: PostgresServer, database: Login, tmp_path: Path) -> Iterator[GiftCards]:
    """Sections 1 to 6, up to the migration."""
    assert write(tmp_path, BEFORE) == 7
    role = f"giftcards_{secrets.token_hex(4)}"
    serving = postgres.create_serving_role(database.database, name=role)
    cards = GiftCards(run, tmp_path, database, serving, Ports().take(role))
    cards.migrate()
    yield cards
    with psycopg.connect(postgres.admin_of(database.database).url, autocommit=True) as admin:
        admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def test_the_calls_print_what_the_guide_shows_and_old_events_get_their_new_form(cards: GiftCards) -> None:
    served = cards.serve()
    printed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", TRIED.replace("http://127.0.0.1:8098", cards.url)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (VARYING.sub("*", printed.stdout), printed.stderr) == (VARYING.sub("*", SHOWN), "")
    served.stop()
    change_the_form(cards)
    served = cards.serve()
    (old,) = re.findall(r'"cardId":"([^"]+)"', printed.stdout.splitlines()[0])
    new = call("POST", f"{cards.url}/cards", {"amount": "5.00"}).ok()["cardId"]
    for card, amount, balance in ((old, "50.00", "50.00"), (new, "5.00", "5.00")):
        issued: dict[str, Any] = call("GET", f"{cards.url}/cards/{card}/events").ok()[0]
        assert issued["data"] == {"amount": amount, "currency": "BRL"}
        assert call("GET", f"{cards.url}/cards/{card}").ok() == {"balance": balance}
    served.stop()


def change_the_form(cards: GiftCards) -> None:
    """Section 7."""
    assert write(cards.folder, CHANGED) == 1
    issue, upcasts = PYTHON.findall(CHANGED)
    replace(cards.folder / "giftcards/card.py", r"^def issue.*?\n(?=\n\n)", issue)
    replace(cards.folder / "giftcards/service.py", r"^CARDS = .*?\n", upcasts)
