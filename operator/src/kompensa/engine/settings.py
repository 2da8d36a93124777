"""The engine's settings, read from its environment."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from kompensa.journal.postgres.parameters import arguments
from kompensa.transport.clients import ClientOptions
from kompensa_common.databases import database_url
from kompensa_common.durations import EXAMPLES, seconds
from kompensa_common.libpq import UnusableUrlError, is_clear
from kompensa_common.logs import level_of
from kompensa_common.secrets import UnusableValueError, meant

# As long as a saga's own TTL may be: beyond, dates end.
_LONGEST_SECONDS = 3650 * 86_400.0


class SettingsError(ValueError):
    """A variable is missing or cannot be read. The message names the variable and the expected form."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Each attribute is read from `KOMPENSA_<NAME>` unless said otherwise. Durations are text such as 500ms, 2s, 7d.

    Attributes
    ----------
    journal_url
        The journal's URL, postgresql://user:password@host:port/database. It is the only setting without a default.
    api_host, api_port
        The address on which the API listens.
    api_token
        The bearer token that callers of the API must send. Without it, calls need no token.
    status
        `kubernetes` writes the status of Saga objects; `none` does not.
    engine_name
        The engine's identity, by default the host's name. A process that starts takes its name's leases back at
        once, so two engines must never have the same.
    lease_ttl
        How long after the engine's last sign of life others may take its sagas. Renewed each third of it.
    max_in_flight
        At most so many sagas are in memory; further ones are rejected with 429.
    max_input_bytes
        At most so many bytes of inputs, as JSON, are in memory; further sagas are rejected with 429. In memory an input
        takes about ten times as much, and an engine may have to take over the sagas of another one.
    retention
        How long an ended saga stays in the journal, unless it was started with a time of its own.
    drain
        How long a stopping engine waits for calls that are under way.
    log_level
        debug, info, warning or error (LOG_LEVEL).
    http
        How participants are called: KOMPENSA_HTTP_CLIENT (own, aiohttp), KOMPENSA_HTTP_PROXY (none, environment),
        KOMPENSA_TLS_CA_FILE, KOMPENSA_TLS_CERTIFICATE_FILE and KOMPENSA_TLS_KEY_FILE; see `ClientOptions`.
    """

    journal_url: str = field(repr=False)
    api_host: str = ""  # all addresses, IPv4 and IPv6; local starters set 127.0.0.1
    api_port: int = 8080
    api_token: str | None = field(default=None, repr=False)
    status: str = "none"
    engine_name: str = field(default_factory=socket.gethostname)
    lease_ttl: float = 5.0
    max_in_flight: int = 10_000
    max_input_bytes: int = 16 * 1024 * 1024
    retention: float = 7 * 86_400.0
    drain: float = 5.0
    log_level: str = "info"
    http: ClientOptions = field(default_factory=ClientOptions)

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the environment.

        Raises
        ------
        SettingsError
            A variable is missing or cannot be read.
        """
        status = environment.get("KOMPENSA_STATUS") or cls.status
        if status not in ("kubernetes", "none"):
            raise SettingsError(f"KOMPENSA_STATUS is {status!r}; expected kubernetes or none")
        return cls(
            journal_url=_url(environment, "KOMPENSA_JOURNAL_URL"),
            api_host=environment.get("KOMPENSA_API_HOST") or cls.api_host,
            api_port=_whole(environment, "KOMPENSA_API_PORT", cls.api_port, most=65_535),
            api_token=_token(environment),
            status=status,
            engine_name=environment.get("KOMPENSA_ENGINE_NAME") or socket.gethostname(),
            lease_ttl=_duration(environment, "KOMPENSA_LEASE_TTL", cls.lease_ttl),
            max_in_flight=_whole(environment, "KOMPENSA_MAX_IN_FLIGHT", cls.max_in_flight, most=1_000_000),
            max_input_bytes=_whole(environment, "KOMPENSA_MAX_INPUT_BYTES", cls.max_input_bytes, most=2**40),
            retention=_duration(environment, "KOMPENSA_RETENTION", cls.retention),
            drain=_duration(environment, "KOMPENSA_DRAIN", cls.drain),
            log_level=_level(environment),
            http=_http(environment),
        )


def _url(environment: Mapping[str, str], name: str) -> str:
    """A PostgreSQL URL. An error never quotes it: it has a password inside."""
    try:
        text = database_url(environment, name)
    except UnusableValueError as error:
        raise SettingsError(str(error)) from None
    example = "for example postgresql://user:password@host:5432/kompensa"
    if not text:
        raise SettingsError(f"{name} must be set, {example}")
    if not is_clear(text):
        raise SettingsError(
            f"{name} cannot be read as a PostgreSQL URL, {example};"
            " in a user, a password or a name, write @ : / ? # % and blanks as %40 %3A %2F %3F %23 %25 %20"
        )
    try:
        arguments(text, application="")
    except UnusableUrlError as error:
        raise SettingsError(f"{name} {error}") from None
    return text


def _token(environment: Mapping[str, str]) -> str | None:
    name = "KOMPENSA_API_TOKEN"
    try:
        return meant(environment.get(name, ""), name) or None
    except UnusableValueError as error:
        raise SettingsError(str(error)) from None


def _whole(environment: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    text = environment.get(name)
    if not text:
        return default
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise SettingsError(f"{name} is {text!r}; expected a whole number from 1 to {most}")
    return int(text)


def _duration(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    if not text:
        return default
    try:
        found = seconds(text)
    except ValueError:
        found = math.nan
    if not 0 < found <= _LONGEST_SECONDS:
        raise SettingsError(
            f"{name} is {text!r}; expected a duration above 0 and at most 3650d, for example {EXAMPLES}"
        )
    return found


def _http(environment: Mapping[str, str]) -> ClientOptions:
    options = ClientOptions(
        client="aiohttp" if _one_of(environment, "KOMPENSA_HTTP_CLIENT", ("own", "aiohttp")) == "aiohttp" else "own",
        proxies=_one_of(environment, "KOMPENSA_HTTP_PROXY", ("none", "environment")) == "environment",
        ca_file=_file(environment, "KOMPENSA_TLS_CA_FILE"),
        certificate_file=_file(environment, "KOMPENSA_TLS_CERTIFICATE_FILE"),
        key_file=_file(environment, "KOMPENSA_TLS_KEY_FILE"),
    )
    if (options.certificate_file is None) != (options.key_file is None):
        raise SettingsError("KOMPENSA_TLS_CERTIFICATE_FILE and KOMPENSA_TLS_KEY_FILE belong together; set both")
    return options


def _one_of(environment: Mapping[str, str], name: str, choices: tuple[str, str]) -> str:
    """One of the choices; the first is the default."""
    chosen = environment.get(name) or choices[0]
    if chosen not in choices:
        raise SettingsError(f"{name} is {chosen!r}; expected {' or '.join(choices)}")
    return chosen


def _file(environment: Mapping[str, str], name: str) -> str | None:
    path = environment.get(name) or None
    if path is not None and not os.access(path, os.R_OK):
        raise SettingsError(f"{name} is {path!r}, which is not a file that the engine can read; mount it, or unset it")
    return path


def _level(environment: Mapping[str, str]) -> str:
    try:
        return level_of(environment.get("LOG_LEVEL"))
    except ValueError as error:
        raise SettingsError(str(error)) from None
