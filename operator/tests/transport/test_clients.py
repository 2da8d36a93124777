"""Certificates for both clients, and proxies: what the engine's settings choose."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kompensa.model.http_call import HttpEndpoint
from kompensa.model.outcomes import Outcome
from kompensa.transport import aiohttp_client
from kompensa.transport.aiohttp_client import AiohttpClient
from kompensa.transport.clients import ClientName, ClientOptions, UnusableFileError, client_of
from kompensa.transport.http import HttpTransport
from kompensa.transport.own_client import OwnClient
from kompensa.transport.port import Participant, Reply
from tests.support.attempts import SAGA, paying

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
BOTH: list[ClientName] = ["own", "aiohttp"]


class Pem:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = str(folder / "certificate.pem"), str(folder / "key.pem")
        names = ["-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1"]
        files = ["-keyout", self.key, "-out", self.certificate]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files],
            check=True,
            capture_output=True,
            timeout=60,
        )


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Pem:
    return Pem(tmp_path_factory.mktemp("pem"))


@asynccontextmanager
async def participant(tls: ssl.SSLContext | None = None, answer: bytes = OK) -> AsyncIterator[tuple[int, list[str]]]:
    heads: list[str] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    async with listening:
        yield listening.sockets[0].getsockname()[1], heads


async def called(url: str, options: ClientOptions) -> Reply:
    transport = HttpTransport(client_of(options))
    target = Participant(namespace="shop", name="stub", endpoint=HttpEndpoint(url), max_in_flight=1)
    try:
        return await transport.call(target, SAGA, paying())
    finally:
        await transport.close()


def serving(pem: Pem, *, wants_certificate: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pem.certificate)
    context.load_cert_chain(pem.certificate, pem.key)
    context.verify_mode = ssl.CERT_REQUIRED if wants_certificate else ssl.CERT_NONE
    return context


@pytest.mark.parametrize("client", BOTH)
async def test_an_authority_of_ones_own_is_trusted_if_its_file_is_named(pem: Pem, client: ClientName) -> None:
    async with participant(serving(pem)) as (port, heads):
        url = f"https://127.0.0.1:{port}"
        unknown = await called(url, ClientOptions(client=client))
        trusted = await called(url, ClientOptions(client=client, ca_file=pem.certificate))
    assert (unknown.outcome, unknown.reason) == (Outcome.NOT_SENT, "Unreachable")
    assert trusted.outcome is Outcome.SUCCEEDED
    assert len(heads) == 1


@pytest.mark.parametrize("client", BOTH)
async def test_a_participant_that_wants_a_certificate_gets_it(pem: Pem, client: ClientName) -> None:
    async with participant(serving(pem, wants_certificate=True)) as (port, _):
        url = f"https://127.0.0.1:{port}"
        without = await called(url, ClientOptions(client=client, ca_file=pem.certificate))
        shown = await called(
            url,
            ClientOptions(client=client, ca_file=pem.certificate, certificate_file=pem.certificate, key_file=pem.key),
        )
    assert without.outcome in (Outcome.UNKNOWN, Outcome.NOT_SENT)  # with TLS 1.3 the rejection comes after the request
    assert shown.outcome is Outcome.SUCCEEDED


def test_a_file_that_is_not_pem_is_named(pem: Pem, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("not a certificate")
    for options in (
        ClientOptions(ca_file=str(wrong)),
        ClientOptions(certificate_file=pem.certificate, key_file=str(wrong)),
    ):
        with pytest.raises(UnusableFileError, match=r"wrong\.pem"):
            client_of(options)


def test_a_key_with_a_passphrase_is_named_instead_of_asking_for_it(pem: Pem, tmp_path: Path) -> None:
    locked = tmp_path / "locked.pem"
    command = ["openssl", "pkey", "-in", pem.key, "-aes128", "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    with pytest.raises(UnusableFileError, match=r"locked\.pem"):
        client_of(ClientOptions(certificate_file=pem.certificate, key_file=str(locked)))


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    aiohttp_client._proxy.cache_clear()


@pytest.mark.usefixtures("no_proxies")
async def test_a_proxy_is_used_if_the_setting_says_so_and_not_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    async with participant() as (port, heads), participant() as (proxy, asked):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        url = f"http://127.0.0.1:{port}"
        assert (await called("http://shop.example", ClientOptions(proxies=True))).outcome is Outcome.SUCCEEDED
        assert asked[0].startswith("POST http://shop.example/payments HTTP/1.1")
        assert (await called(url, ClientOptions(proxies=True))).outcome is Outcome.SUCCEEDED
        assert (await called(url, ClientOptions())).outcome is Outcome.SUCCEEDED
    assert (len(heads), len(asked)) == (2, 1)


@pytest.mark.usefixtures("no_proxies")
async def test_a_proxy_that_makes_no_connection_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
    async with participant(answer=refusal) as (proxy, asked):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy}\n")  # as from a Secret with a line end
        reply = await called("https://shop.example", ClientOptions(proxies=True))
    assert asked[0].startswith("CONNECT shop.example:443")
    assert (reply.outcome, reply.reason) == (Outcome.NOT_SENT, "Unreachable")


async def test_proxies_choose_the_client_that_can_use_them() -> None:
    assert isinstance(client_of(ClientOptions()), OwnClient)
    assert isinstance(client_of(ClientOptions(proxies=True)), AiohttpClient)
