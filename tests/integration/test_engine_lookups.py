"""An engine one of whose participants has a name that no name server answers for: the others' sagas go on."""

import socket
import time
from threading import Event
from typing import Any

import pytest

from kompensa.engine.engine import Engine
from kompensa.engine.settings import Settings
from kompensa.engine.start import StartRequest
from kompensa.engine.status_publisher import NullStatusPublisher
from kompensa.transport.http import HttpTransport
from kompensa_dev.ports import Ports
from tests.integration.stub_participant import StubParticipant
from tests.support.engine_world import definition_spec
from tests.support.memory_journal import MemoryJournal
from tests.support.waiting import until

SAGAS = 50


async def test_sagas_that_call_an_unknown_name_do_not_stop_others(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, asked, system = Event(), Event(), socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **options: Any) -> Any:
        if host in ("black.hole", b"black.hole"):
            asked.set()
            over.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return system(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    settings = Settings(journal_url="postgresql://nowhere", drain=0.1)
    engine = Engine(
        journal=MemoryJournal(time.time), transport=HttpTransport(), publisher=NullStatusPublisher(), settings=settings
    )
    async with StubParticipant.serving(ports.take("healthy")) as healthy:
        await engine.start()
        try:
            await until(lambda: engine.trouble is None, "the engine to take sagas")
            await declare(engine, "elsewhere", "http://black.hole")
            await declare(engine, "shop", f"http://localhost:{healthy.port}")
            for _ in range(SAGAS):
                await engine.sagas.start("elsewhere", StartRequest(definition="order"))
            await until(asked.is_set, "the lookup to hang")
            saga, _ = await engine.sagas.start("shop", StartRequest(definition="order"))
            view = await engine.sagas.rested(saga, 5)
            assert (view.phase, healthy.calls) == ("Succeeded", ["reserve"])
        finally:
            over.set()
            await engine.stop()


async def declare(engine: Engine, namespace: str, url: str) -> None:
    participant = {"url": url, "idempotency": "Keyed", "timeout": "2s"}
    await engine.declarations.put_participant(namespace, "stub", participant)
    await engine.declarations.put_definition(namespace, "order", definition_spec("reserve"))
