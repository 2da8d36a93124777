"""Health that means something: the loop turns, the queues move, the watch delivers, the lease is kept.

kopf's own liveness endpoint only shows that its reporting task runs, and it exists only while the operator is active;
a standby must answer, too.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kompensa.handlers.workqueue import ATTEMPT_SECONDS

# A ready key waits for a worker at most this long unless workers hang; each attempt is bounded by ATTEMPT_SECONDS.
OLDEST_READY_SECONDS = 3 * ATTEMPT_SECONDS


@dataclass
class Health:
    """The checks behind the probes. A check's `finding` is empty if all is well."""

    active: bool = False
    checks: list[tuple[str, Callable[[], str]]] = field(default_factory=list)
    troubles: Callable[[], dict[str, str]] = dict
    """Namespaces that cannot be worked in, shown and no reason to restart: the others are served."""

    def watch_over(self, name: str, finding: Callable[[], str]) -> None:
        self.checks.append((name, finding))

    def findings(self) -> dict[str, str]:
        return {name: text for name, finding in self.checks if (text := finding())}


def queue_finding(name: str, oldest: Callable[[], float]) -> Callable[[], str]:
    """Do keys get a worker in time."""

    def finding() -> str:
        age = oldest()
        return f"a key of {name} has waited {age:.0f} s for a worker" if age > OLDEST_READY_SECONDS else ""

    return finding


def overdue_finding(what: str, last: Callable[[], float], limit: float) -> Callable[[], str]:
    """Has something that happens regularly happened lately; `last` is monotonic."""

    def finding() -> str:
        age = time.monotonic() - last()
        return f"{what} was {age:.0f} s ago, at most {limit:.0f} s are normal" if age > limit else ""

    return finding


class ProbeServer:
    """GET /healthz, /readyz and /metrics on one port, for as long as the process lives."""

    def __init__(self, health: Health, *, host: str, port: int) -> None:
        self._health = health
        self._address = (host, port)
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "ProbeServer":
        app = web.Application()
        app.add_routes(
            [web.get("/healthz", self._live), web.get("/readyz", self._ready), web.get("/metrics", _metrics)]
        )
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, *self._address).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _live(self, _: web.Request) -> web.Response:
        findings = self._health.findings()
        return web.json_response({"findings": findings}, status=503 if findings else 200)

    async def _ready(self, _: web.Request) -> web.Response:
        """A standby is as ready as it can be; saying otherwise would block every roll-out of a second replica."""
        findings = self._health.findings()
        body: dict[str, object] = {"role": "active" if self._health.active else "standby", "findings": findings}
        body["namespaces"] = self._health.troubles()
        return web.json_response(body, status=503 if findings else 200)


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
