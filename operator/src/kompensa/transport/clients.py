"""Chooses the HTTP client of the engine, and makes its TLS context."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from kompensa.transport.client import HttpClient
from kompensa.transport.own_client import OwnClient

ClientName = Literal["own", "aiohttp"]


class UnusableFileError(ValueError):
    """A file with a certificate or a key cannot be used. The message names it."""


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """How participants are called.

    Attributes
    ----------
    client
        The HTTP client. Only aiohttp goes through proxies, so it is used whenever `proxies` is set.
    proxies
        Use HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment.
    ca_file
        PEM file of certificate authorities to trust in addition to those of the system.
    certificate_file, key_file
        PEM files of the engine's client certificate and of its key. The key must not have a passphrase.
    """

    client: ClientName = "own"
    proxies: bool = False
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None


def client_of(options: ClientOptions) -> HttpClient:
    """The client for these options.

    Raises
    ------
    UnusableFileError
        A file cannot be read or is not PEM, or the key does not belong to the certificate.
    """
    tls = _tls(options)
    if options.proxies or options.client == "aiohttp":
        from kompensa.transport.aiohttp_client import AiohttpClient  # noqa: PLC0415 - slow to import, seldom used

        return AiohttpClient(tls, proxies=options.proxies)
    return OwnClient(tls)


def _tls(options: ClientOptions) -> ssl.SSLContext | None:
    """A TLS context, or None for the defaults: the system's certificate authorities and no client certificate."""
    if options.ca_file is None and options.certificate_file is None:
        return None
    context = ssl.create_default_context()
    if options.ca_file is not None:
        with _naming(options.ca_file, "certificates of authorities in PEM form"):
            context.load_verify_locations(options.ca_file)
    if options.certificate_file is not None:
        with _naming(
            f"{options.certificate_file} with {options.key_file}",
            "a certificate and its key in PEM form, without a passphrase",
        ):
            # Without a function for the passphrase, OpenSSL would ask for it at the terminal.
            context.load_cert_chain(options.certificate_file, options.key_file, password=lambda: "")
    return context


@contextmanager
def _naming(files: str, expected: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnusableFileError(f"{files} cannot be used: {error}; expected {expected}") from error
