"""Puts the engine's process together: journal, transport, publisher, engine and API on one event loop.

After SIGTERM, requests and calls under way may finish within a few seconds. Then the engine releases its shards.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Iterator

import uvicorn
import uvloop

from kompensa.api.app import application
from kompensa.api.connections import PromptConnection
from kompensa.engine.clock import SteadyClock
from kompensa.engine.engine import Engine
from kompensa.engine.settings import Settings
from kompensa.engine.status_publisher import NullStatusPublisher, StatusPublisher
from kompensa.journal.postgres import PostgresJournal
from kompensa.transport.clients import client_of
from kompensa.transport.http import HttpTransport
from kompensa.transport.port import Transport
from kompensa.transport.traces import ENGINE, TracedTransport, saga_span
from kompensa_common.logs import log_as_json
from kompensa_common.tracing import Spans, spans_of_environment

# Seconds. When the engine stops, requests that wait for the end of a saga are answered early.
_GRACE = 3


class _Server(uvicorn.Server):
    """A server that returns after SIGTERM or SIGINT.

    uvicorn itself raises the signal again, and that ends the process before the engine has stopped.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.handle_exit, number, None)
        yield  # the handlers stay: a second signal must not end the process while the engine stops


def serve(settings: Settings | None = None) -> None:
    """Run the engine and its API until SIGTERM or SIGINT.

    Raises
    ------
    SettingsError
        A setting in the environment is missing or not valid.
    """
    chosen = settings or Settings.read()
    log_as_json(chosen.log_level, libraries=chosen.log_level)
    _relax_garbage_collection()
    uvloop.run(_serve(chosen))


def migrate(settings: Settings | None = None) -> list[str]:
    """Migrate the journal to this version, and return the migrations that were applied."""
    chosen = settings or Settings.read()
    return asyncio.run(PostgresJournal(chosen.journal_url).migrate())


def _relax_garbage_collection() -> None:
    """Collect less often. Sagas contain no cycles, so searching for cycles every few hundred objects is a waste."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _serve(settings: Settings) -> None:
    spans = spans_of_environment(ENGINE)
    transport: Transport = HttpTransport(client_of(settings.http))
    async with _publisher(settings) as publisher:
        engine = Engine(
            journal=PostgresJournal(settings.journal_url, application=f"kompensa-engine {settings.engine_name}"),
            transport=transport if spans is None else TracedTransport(transport, spans),
            publisher=publisher,
            settings=settings,
            clock=SteadyClock(),
            on_end=None if spans is None else lambda saga: spans.record(saga_span(saga)),
        )
        server = _server(engine, settings, spans)
        await engine.start()
        ending = asyncio.create_task(_end_with(engine, server))
        try:
            await server.serve()
        finally:
            ending.cancel()
            await engine.stop()
            if spans is not None:
                await asyncio.to_thread(spans.close)
    if engine.fallen.is_set():
        raise SystemExit(1)


async def _end_with(engine: Engine, server: uvicorn.Server) -> None:
    """End the process if the engine has failed. Then Kubernetes restarts it. An API alone would hide the failure."""
    await engine.fallen.wait()
    server.should_exit = True


def _server(engine: Engine, settings: Settings, spans: Spans | None) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            application(engine, token=settings.api_token, spans=spans),
            host=settings.api_host,
            port=settings.api_port,
            http=PromptConnection,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_GRACE,
        )
    )


@contextlib.asynccontextmanager
async def _publisher(settings: Settings) -> AsyncIterator[StatusPublisher]:
    if settings.status == "none":
        yield NullStatusPublisher()
        return
    from kompensa.cluster.status_publisher import KubernetesStatusPublisher  # noqa: PLC0415 - slow to import

    async with KubernetesStatusPublisher.connect() as publisher:
        yield publisher
