"""A participant that a test controls: its replies, their delays, and a list of the calls that it received."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass
class StubParticipant:
    """Replies 200 `{}` to every POST unless a test sets another reply; `calls` are the paths in order of arrival."""

    port: int
    calls: list[str] = field(default_factory=list)
    replies: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    _gates: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(_open))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def hold(self, path: str) -> None:
        """Let calls of this path wait until it is released."""
        self._gates[path].clear()

    def release(self, path: str) -> None:
        self._gates[path].set()

    @classmethod
    @asynccontextmanager
    async def serving(cls, port: int) -> AsyncIterator[Self]:
        stub = cls(port)
        app = web.Application()
        app.add_routes([web.post("/{path:.*}", stub._answer)])
        runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield stub
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self.calls.append(path)
        await self._gates[path].wait()
        status, body = self.replies.get(path, (200, {}))
        return web.json_response(body, status=status)


def _open() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
