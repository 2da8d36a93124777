"""A service's settings, from the environment; a missing or broken one is named at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict

from kompensa_common.databases import database_url
from kompensa_common.logs import level_of
from kompensa_common.secrets import UnusableValueError

SCHEMES = ("postgresql://", "postgres://")


class SettingsError(ValueError):
    """A setting that is missing or cannot be read, or that the process cannot work with."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a service process.

    Attributes
    ----------
    database_url
        `postgresql://...`, with the service's own role.
    pool_min, pool_max
        Connections kept and allowed.
    faults_enabled
        Whether the fault switch listens. Never in production.
    capture_role
        Role that may read the outbox (granted by `migrate`), or None.
    serving_role
        Role that serves (its rights are granted by `migrate`), or None if it owns the tables.
    caller_tokens_dir
        Folder with the callers' tokens, or None: then callers are not checked.
    kafka
        Addresses of brokers, for the service's reactions; without them the reactions do not run.
    reactions_group
        The reactions' consumer group, or None for `kompensa-reactions.<service>`.
    topic_prefix
        Prefix of the topics that the reactions read, as the Outboxes of this installation have it.
    """

    database_url: str
    host: str = ""  # all addresses, IPv4 and IPv6
    port: int = 8080
    pool_min: int = 1
    pool_max: int = 10
    log_level: str = "info"
    faults_enabled: bool = False
    capture_role: str | None = None
    serving_role: str | None = None
    caller_tokens_dir: str | None = None
    kafka: str | None = None
    reactions_group: str | None = None
    topic_prefix: str = ""


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. A line end after a value, as files of Secrets often have one, is not part of it.

    Raises
    ------
    SettingsError
        If a setting is missing or cannot be read; the text names it.
    """
    environment = {name: value.rstrip("\r\n") for name, value in environment.items()}
    pool_min = _integer(environment, "POOL_MIN", Settings.pool_min, least=0)
    return Settings(
        database_url=_database_url(environment),
        host=environment.get("HOST") or Settings.host,
        port=_integer(environment, "PORT", Settings.port, least=1),
        pool_min=pool_min,
        pool_max=_integer(environment, "POOL_MAX", max(Settings.pool_max, pool_min), least=max(pool_min, 1)),
        log_level=_log_level(environment),
        faults_enabled=_choice(environment, "FAULTS_ENABLED", "false", ("true", "false")) == "true",
        capture_role=environment.get("CAPTURE_ROLE") or None,
        serving_role=environment.get("SERVING_ROLE") or None,
        caller_tokens_dir=environment.get("CALLER_TOKENS_DIR") or None,
        kafka=environment.get("KOMPENSA_KAFKA") or None,
        reactions_group=environment.get("REACTIONS_GROUP") or None,
        topic_prefix=environment.get("TOPIC_PREFIX") or "",
    )


def _database_url(environment: Mapping[str, str]) -> str:
    """The URL. An error never quotes it: it has a password inside."""
    try:
        url = database_url(environment, "DATABASE_URL")
    except UnusableValueError as error:
        raise SettingsError(str(error)) from None
    if not url.startswith(SCHEMES):
        raise SettingsError("DATABASE_URL must be set to postgresql://user:password@host:port/database")
    if not _is_clear(url):
        raise SettingsError(
            "DATABASE_URL cannot be read as postgresql://user:password@host:port/database;"
            " in a user, a password or a name, write @ : / ? # % as %40 %3A %2F %3F %23 %25"
        )
    return url


def _is_clear(url: str) -> bool:
    """Whether libpq can read a URL, and no bare @ or / has made part of the password a host, a port or a name."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return False
    ports = str(parts.get("port", "")).split(",")
    names = f"{parts.get('host', '')}{parts.get('dbname', '')}"
    return "@" not in names and all(not port or (port.isascii() and port.isdigit()) for port in ports)


def _integer(environment: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise SettingsError(f"{name} must be a whole number from {least}, not {text!r}")
    return int(text)


def _log_level(environment: Mapping[str, str]) -> str:
    try:
        return level_of(environment.get("LOG_LEVEL"))
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _choice(environment: Mapping[str, str], name: str, default: str, choices: tuple[str, ...]) -> str:
    text = (environment.get(name) or default).lower()
    if text not in choices:
        raise SettingsError(f"{name} must be one of {', '.join(choices)}, not {text!r}")
    return text


def last_line(error: BaseException) -> str:
    """The last line of an error's text: libpq and SQLAlchemy put the reason there."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
