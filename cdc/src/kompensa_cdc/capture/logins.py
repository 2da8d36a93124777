"""A login from a Secret, in the forms that people and operators of databases write it.

Parts: host, port, database (or dbname), username (or user), password. CloudNativePG and Crunchy write all of them.
Or one URL: url (or uri). A reference may name the keys itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from kompensa_cdc.capture.outbox import Database, InvalidOutboxError
from kompensa_common.libpq import WITHOUT_EFFECT, UnusableUrlError, is_clear, parameters
from kompensa_common.secrets import UnusableValueError, meant

PARTS = ("host", "port", "database", "username", "password")
ALIASES: Mapping[str, tuple[str, ...]] = {
    "host": ("host",),
    "port": ("port",),
    "database": ("database", "dbname"),
    "username": ("username", "user"),
    "password": ("password",),
    "url": ("url", "uri"),
}
SSL_MODES = ("disable", "allow", "prefer", "require")
"""Modes that need no file: the operator and Kafka Connect do not have a service's certificates."""


def database_from_secret(
    secret_name: str, values: Mapping[str, str], keys: Mapping[str, str] | None = None
) -> Database:
    """Read a login from the values of a Secret, already decoded.

    Parameters
    ----------
    keys
        Names of keys by part (host, port, database, username, password, url), if they are others than the usual ones.

    Raises
    ------
    InvalidOutboxError
        Naming the Secret, the keys it lacks and those it has, never a value.
    """
    named = dict(keys or {})
    found = {part: _value(secret_name, values, part, named) for part in ALIASES}
    if found["url"] and ("url" in named or not (found["host"] and found["password"])):
        return _from_url(secret_name, found["url"])
    missing = [named.get(part, " or ".join(ALIASES[part])) for part in PARTS if not found[part]]
    if missing:
        if found["username"] and found["password"] and not found["host"]:
            raise InvalidOutboxError(
                f"Secret {secret_name} has a username and a password, but lacks the keys {', '.join(missing)}: "
                "make a Secret that has them too, or one with the key url; keys can only name keys that exist"
            )
        raise InvalidOutboxError(
            f"Secret {secret_name} lacks the keys {', '.join(missing)}: add them, name others in keys, or give one key "
            f"url; its keys: {', '.join(sorted(values)) or 'none'}"
        )
    return Database(
        host=found["host"],
        port=_port(secret_name, found["port"]),
        database=found["database"],
        username=found["username"],
        password=found["password"],
    )


def _value(secret_name: str, values: Mapping[str, str], part: str, named: Mapping[str, str]) -> str:
    """A part's value; empty if the Secret has none."""
    for key in (named[part],) if part in named else ALIASES[part]:
        if values.get(key):
            try:
                return meant(values[key], f"Secret {secret_name}: the key {key}")
            except UnusableValueError as error:
                raise InvalidOutboxError(str(error)) from None
    return ""


def _port(secret_name: str, text: str) -> int:
    if not (re.fullmatch("[0-9]{1,5}", text) and 0 < int(text) < 65_536):
        raise InvalidOutboxError(f"Secret {secret_name}: the port is not a number from 1 to 65535, for example 5432")
    return int(text)


def _from_url(secret_name: str, url: str) -> Database:
    parts = _read_url(secret_name, url)
    login = {name: str(parts.pop(name, "")) for name in ("host", "port", "dbname", "user", "password")}
    sslmode = str(parts.pop("sslmode", "prefer"))
    _check_parameters(secret_name, login["host"], sslmode, parts)
    missing = [name for name in ("dbname", "user", "password") if not login[name]]
    if missing:
        raise InvalidOutboxError(f"Secret {secret_name}: its URL has no {', '.join(missing)}: add it")
    return Database(
        host=login["host"],
        port=_port(secret_name, login["port"] or "5432"),
        database=login["dbname"],
        username=login["user"],
        password=login["password"],
        sslmode=sslmode,
    )


def _read_url(secret_name: str, url: str) -> dict[str, Any]:
    """The parts of a URL as libpq reads it, with at least a host."""
    try:
        if is_clear(url):
            parameters(url)
        parts = {name: value for name, value in conninfo_to_dict(url).items() if value is not None}
    except UnusableUrlError as error:
        raise InvalidOutboxError(f"Secret {secret_name}: its URL {error}") from None
    except psycopg.ProgrammingError:
        parts = {}
    if "@" in f"{parts.get('host', '')}{parts.get('dbname', '')}" or not parts.get("host"):
        raise InvalidOutboxError(
            f"Secret {secret_name}: its URL cannot be read (expected postgresql://user:password@host:5432/database, "
            "with @ : / ? # % in a password written as %40 %3A %2F %3F %23 %25)"
        )
    return parts


def _check_parameters(secret_name: str, host: str, sslmode: str, others: Mapping[str, Any]) -> None:
    """Reject what Debezium could not honour as libpq would."""
    where = f"Secret {secret_name}: its URL"
    if "," in host:
        raise InvalidOutboxError(f"{where} names several hosts: capture follows one, so name the primary's address")
    if host.startswith("/"):
        raise InvalidOutboxError(f"{where} names a Unix socket, which Kafka Connect cannot reach: name a host")
    if sslmode not in SSL_MODES:
        raise InvalidOutboxError(
            f"{where} has sslmode={sslmode}, which needs certificates that Kafka Connect does not have: "
            f"expected one of {', '.join(SSL_MODES)}"
        )
    unusable = sorted(name for name, value in others.items() if (name, str(value)) not in WITHOUT_EFFECT)
    if unusable:
        raise InvalidOutboxError(
            f"{where} has {', '.join(unusable)}, which capture cannot honour: remove it, or make a Secret for capture"
        )
