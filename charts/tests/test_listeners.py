"""The default address of every listener: IPv4 and IPv6, and IPv4 alone if the kernel has no IPv6."""

import asyncio
import inspect
import socket

import pytest

from kompensa.engine.settings import Settings as EngineSettings
from kompensa.handlers.settings import OperatorSettings
from kompensa_cdc.main import replica
from kompensa_participant.settings import Settings as ServiceSettings

DEFAULTS = {
    "engine": EngineSettings(journal_url="postgresql://").api_host,
    "operator": OperatorSettings.from_environment({"KOMPENSA_API_URL": "http://engine:8080"}).probe_host,
    "service": ServiceSettings(database_url="postgresql://").host,
    "replica worker": inspect.signature(replica).parameters["host"].default,
}


async def families(host: str) -> set[socket.AddressFamily]:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), host, 0)
    async with server:
        return {listener.family for listener in server.sockets}


def ipv6_is_on() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("process", DEFAULTS)
def test_a_process_listens_on_every_family_that_the_kernel_has(process: str) -> None:
    expected = {socket.AF_INET, *([socket.AF_INET6] if ipv6_is_on() else [])}
    assert asyncio.run(families(DEFAULTS[process])) == expected
