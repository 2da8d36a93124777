"""Kafka Connect's REST interface, as much of it as capture needs.

Connect answers 409 while its workers rebalance and for a moment after each change: such replies are retried within
a bound. Everything else that is not a success is raised as ConnectError, with what Connect says.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp

from kompensa_cdc.capture.errors import ConnectError
from kompensa_common.addresses import without_login

REQUEST_TIMEOUT_SECONDS = 20.0
BUSY_RETRIES = 20
BUSY_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class ConnectorState:
    """A connector as Connect reports it: RUNNING, PAUSED, STOPPED, FAILED, UNASSIGNED or RESTARTING."""

    connector: str
    tasks: tuple[str, ...]
    trace: str | None

    @property
    def summary(self) -> str:
        """One word for a status: a failed task outweighs a running connector."""
        if "FAILED" in (self.connector, *self.tasks):
            return "FAILED"
        if self.connector == "RUNNING" and self.tasks != ("RUNNING",):
            return self.tasks[0] if self.tasks else "UNASSIGNED"
        return self.connector


class Connect:
    """A session with one Connect cluster, used as an async context manager."""

    def __init__(self, url: str) -> None:
        address, self._login = without_login(url)
        self.address = address.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS),
            # Without it an empty PUT goes out as octet-stream, which Connect refuses (415).
            headers={"Content-Type": "application/json", **self._login},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def config(self, name: str) -> dict[str, str] | None:
        """Return the connector's present configuration, or None if there is no such connector."""
        reply = await self._call("GET", f"/connectors/{name}/config", missing_ok=True)
        return None if reply is None else {str(key): str(value) for key, value in reply.items() if key != "name"}

    async def state(self, name: str) -> ConnectorState | None:
        """Return the connector's state, or None if there is no such connector (or it was only just made)."""
        reply = await self._call("GET", f"/connectors/{name}/status", missing_ok=True)
        if reply is None:
            return None
        parts = [reply["connector"], *reply["tasks"]]
        traces = [str(part["trace"]) for part in parts if part.get("trace")]
        return ConnectorState(
            connector=str(reply["connector"]["state"]),
            tasks=tuple(str(task["state"]) for task in reply["tasks"]),
            trace=_cause(traces[0]) if traces else None,
        )

    async def has_read_all(self, name: str) -> bool:
        """Whether a connector has read its tables for the first time, and Kafka has what it read."""
        reply = await self._call("GET", f"/connectors/{name}/offsets", missing_ok=True) or {}
        offsets = [each.get("offset") or {} for each in reply.get("offsets") or []]
        return any(str(offset.get("snapshot_completed")).lower() == "true" for offset in offsets)

    async def others_on_slot(self, config: Mapping[str, str], name: str) -> list[str]:
        """Connectors that read the same slot of the same database: each change goes to only one of them."""
        reply = await self._call("GET", "/connectors?expand=info") or {}
        same = ("slot.name", "database.hostname", "database.port", "database.dbname")
        infos = {other: (each.get("info") or {}).get("config") or {} for other, each in reply.items() if other != name}
        return sorted(other for other, its in infos.items() if all(its.get(key) == config[key] for key in same))

    async def create_stopped(self, name: str, config: Mapping[str, str]) -> None:
        """Make a connector that does not run yet, so that old offsets under its name can be forgotten first."""
        body = {"name": name, "config": dict(config), "initial_state": "STOPPED"}
        await self._call("POST", "/connectors", body=body)

    async def put_config(self, name: str, config: Mapping[str, str]) -> None:
        """Create or change a connector; Connect validates the configuration first."""
        await self._call("PUT", f"/connectors/{name}/config", body=dict(config))

    async def stop(self, name: str) -> None:
        await self._call("PUT", f"/connectors/{name}/stop", missing_ok=True)

    async def resume(self, name: str) -> None:
        await self._call("PUT", f"/connectors/{name}/resume")

    async def forget_offsets(self, name: str) -> None:
        """Make a stopped connector begin at its beginning; Connect needs a moment to see that its tasks are gone."""
        await self._call("DELETE", f"/connectors/{name}/offsets", retry_on=(HTTPStatus.BAD_REQUEST,), missing_ok=True)

    async def restart_failed(self, name: str) -> None:
        await self._call("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed=true")

    async def delete(self, name: str) -> None:
        await self._call("DELETE", f"/connectors/{name}", missing_ok=True)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        missing_ok: bool = False,
        retry_on: tuple[HTTPStatus, ...] = (),
    ) -> dict[str, Any] | None:
        for _ in range(BUSY_RETRIES):
            status, reply = await self._request(method, path, body)
            if status == HTTPStatus.NOT_FOUND and missing_ok:
                return None
            if status < HTTPStatus.BAD_REQUEST:
                return reply
            if status not in (HTTPStatus.CONFLICT, *retry_on):
                break
            await asyncio.sleep(BUSY_PAUSE_SECONDS)
        raise ConnectError(f"Kafka Connect at {self.address} refused {method} {path} ({status}): {_explain(reply)}")

    async def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, dict[str, Any]]:
        if self._session is None:
            raise RuntimeError("Connect is used outside of 'async with'")
        try:
            async with self._session.request(method, self.address + path, json=body) as response:
                is_json = response.content_type == "application/json"
                reply = await response.json() if is_json else {"message": await response.text()}
                return response.status, reply if isinstance(reply, dict) else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ConnectError(
                f"Kafka Connect at {self.address} does not answer ({type(error).__name__}: {error}): "
                "check its address and that the worker is up"
            ) from None


def _explain(reply: Mapping[str, Any]) -> str:
    lines = [line.strip() for line in str(reply.get("message", "no reason given")).splitlines()]
    return " ".join(line for line in lines if line)[:1000]


def _cause(trace: str) -> str:
    """The innermost cause of a Java stack trace: the outer ones only say that something failed."""
    causes = [line.removeprefix("Caused by: ") for line in trace.splitlines() if line.startswith("Caused by: ")]
    return (causes[-1] if causes else trace.splitlines()[0])[:500]
