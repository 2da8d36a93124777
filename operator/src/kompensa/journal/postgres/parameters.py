"""The journal's URL as arguments of asyncpg, each parameter with the meaning that libpq gives it.

asyncpg would send a parameter that it does not know to the server as a setting, which fails with an error about the
server. Here it is either honoured or rejected by name.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from kompensa_common.libpq import WITHOUT_EFFECT, UnusableUrlError, authority, parameters, settings_in

CONNECT_TIMEOUT_SECONDS = 5.0
_NAMES = """
dbname gsslib host krbsrvname passfile password port service ssl_max_protocol_version ssl_min_protocol_version sslcert
sslcrl sslkey sslmode sslnegotiation sslpassword sslrootcert target_session_attrs user
"""
_BY_ASYNCPG = frozenset(_NAMES.split())
_HERE = frozenset({"application_name", "connect_timeout", "fallback_application_name", "options"})
_UTF8 = frozenset({"auto", "utf8", "utf-8", "unicode"})
_NOT_WITH_SYSTEM = ("sslcert", "sslkey", "sslcrl", "sslnegotiation")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """The arguments for asyncpg.

    Attributes
    ----------
    dsns
        The URLs to try in this order, one for each host, because asyncpg's time-out is for all hosts together: a host
        that does not answer would use up the time of the others.
    timeout
        Seconds for each; None if the URL asks to wait forever.
    startup
        Settings that are sent when the connection opens, because the URL says so.
    settings
        The server settings in the URL's `options`, by name.
    tls
        How to check the server's certificate; None leaves it to the dsn.
    """

    dsns: tuple[str, ...] = field(repr=False)
    timeout: float | None
    startup: Mapping[str, str]
    settings: Mapping[str, str]
    tls: ssl.SSLContext | None = None


def arguments(url: str, *, application: str) -> Arguments:
    """Read a clear URL.

    Parameters
    ----------
    application
        The name of the connection on the server, unless the URL has one.

    Raises
    ------
    UnusableUrlError
        If a parameter is not libpq's, or asyncpg cannot honour it.
    """
    given = parameters(url)
    if rejected := sorted(name for name, value in given.items() if not _is_honoured(name, value)):
        raise UnusableUrlError(
            f"has {', '.join(rejected)}, which the journal's driver (asyncpg) cannot honour: remove it from the URL, "
            "or if another process needs it, give the engine a URL of its own"
        )
    name = given.get("application_name") or given.get("fallback_application_name") or application
    options = given.get("options", "")
    tls = _system_authorities(given) if given.get("sslrootcert") == "system" else None
    for_context = set() if tls is None else {"sslrootcert", "sslmode"}
    return Arguments(
        dsns=_dsns(url, {key: value for key, value in given.items() if key in _BY_ASYNCPG - for_context}),
        timeout=_timeout(given.get("connect_timeout")),
        startup={"application_name": name, **({"options": options} if options else {})},
        settings=settings_in(options),
        tls=tls,
    )


def _is_honoured(name: str, value: str) -> bool:
    if name == "client_encoding":
        return value.lower() in _UTF8  # asyncpg speaks UTF-8 only
    return name in _BY_ASYNCPG or name in _HERE or (name, value) in WITHOUT_EFFECT


def _system_authorities(given: Mapping[str, str]) -> ssl.SSLContext:
    """For libpq, `system` does not name a file: it means the authorities that this machine trusts, and verify-full."""
    if given.get("sslmode", "verify-full") != "verify-full":
        raise UnusableUrlError("has sslrootcert=system with a weaker sslmode: expected sslmode=verify-full")
    if others := [name for name in _NOT_WITH_SYSTEM if name in given]:
        raise UnusableUrlError(
            f"has sslrootcert=system with {', '.join(others)}, which the journal cannot combine: name a file of "
            "certificate authorities in sslrootcert"
        )
    return ssl.create_default_context()


def _dsns(url: str, given: Mapping[str, str]) -> tuple[str, ...]:
    scheme, _, rest = url.partition("?")[0].partition("://")
    authorities, slash, path = rest.partition("/")
    login, at, hosts = authorities.rpartition("@")
    query = dict(given)
    _check_twice(query, login=login, hosts=hosts, path=path)
    if "host" in query or (hosts and "port" in query):
        hosts = authority(query.pop("host", re.sub(r"[\[\]]", "", unquote(hosts))), query.pop("port", ""))
    attributes = query.pop("target_session_attrs", "any")
    # Like libpq, which asks all hosts for a standby first.
    wanted = ("standby", "any") if attributes == "prefer-standby" else (attributes,)
    return tuple(
        f"{scheme}://{login}{at}{host}{slash}{path}?{_query({**query, 'target_session_attrs': attribute})}"
        for attribute in wanted
        for host in hosts.split(",")
    )


def _check_twice(given: Mapping[str, str], *, login: str, hosts: str, path: str) -> None:
    """libpq takes the parameter, asyncpg the part before the `?`."""
    user, colon, _ = login.partition(":")
    port = re.search(r":[0-9]+(,|$)", hosts)
    before = {"user": user, "password": colon, "host": hosts, "port": port, "dbname": path}
    if twice := sorted(name for name in given if before.get(name)):
        raise UnusableUrlError(f"has {', '.join(twice)} twice, before the ? and after it: write it once")


def _query(values: Mapping[str, str]) -> str:
    """asyncpg decodes a plus as a blank, so that it must be encoded."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in values.items())


def _timeout(text: str | None) -> float | None:
    if text is None:
        return CONNECT_TIMEOUT_SECONDS
    try:
        seconds = int(text)
    except ValueError:
        raise UnusableUrlError("has a connect_timeout that is not a whole number of seconds, for example 5") from None
    return float(seconds) if seconds > 0 else None
