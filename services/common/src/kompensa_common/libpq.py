"""The parameters of a PostgreSQL URL, read as libpq reads them.

Drivers differ: asyncpg sends a parameter that it does not know to the server as a setting, and takes a plus for a
blank. Each of our processes reads the parameters here, and rejects by name what it cannot honour.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from urllib.parse import quote, unquote

_NAMES = """
application_name channel_binding client_encoding connect_timeout dbname fallback_application_name gssdelegation
gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname
load_balance_hosts options passfile password port replication require_auth requirepeer service ssl
ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl sslcrldir sslkey sslmode
sslnegotiation sslpassword sslrootcert sslsni target_session_attrs tcp_user_timeout user
"""
PARAMETERS = frozenset(_NAMES.split())
"""Those of PostgreSQL 15, 16 and 17, and `ssl`, which libpq takes from URLs that were written for JDBC."""

WITHOUT_EFFECT = frozenset(
    {
        ("channel_binding", "disable"),
        ("channel_binding", "prefer"),
        ("gssdelegation", "0"),
        ("gssencmode", "disable"),
        ("gssencmode", "prefer"),
        ("load_balance_hosts", "disable"),
        ("sslcertmode", "allow"),
        ("sslcompression", "0"),
        ("sslnegotiation", "postgres"),
        ("sslsni", "1"),
        ("target_session_attrs", "any"),
    }
)
"""Values that ask for nothing that a driver without the parameter would not do by itself."""

_LOGIN = r"[^:@/?#\s]*(?::[^@/?#\s]*)?@"
_HOST = r"(?:\[[0-9A-Fa-f:.%]+\]|[^:@/?#\[\],\s]*)(?::[0-9]{1,5})?"
_URL = re.compile(rf"postgres(?:ql)?://(?:{_LOGIN})?{_HOST}(?:,{_HOST})*(?:/[^@/?#\s]*)?(?:\?[^#\s]*)?")
_SWITCH = re.compile(r"(?:-c\s*|--)([^=\s]+)=((?:\\.|[^\\\s])*)")


class UnusableUrlError(ValueError):
    """A database's URL with a parameter that cannot be honoured. The message names the parameter, and no value."""


def is_clear(url: str) -> bool:
    """Return whether each part of a URL is what it seems to be.

    This is stricter than drivers, which guess: a bare @ or / in a password would make part of it a host's name, and
    logs show those.
    """
    return _URL.fullmatch(url) is not None


def parameters(url: str) -> dict[str, str]:
    """Return the parameters of a clear URL, decoded; of a name that is there twice, the last.

    Raises
    ------
    UnusableUrlError
        If a parameter has no value, or a name that libpq does not know.
    """
    found: dict[str, str] = {}
    for text in filter(None, url.partition("?")[2].split("&")):
        name, equals, value = text.partition("=")
        name = unquote(name)
        if name not in PARAMETERS:
            near = get_close_matches(name, PARAMETERS, n=1)
            meant = f"did you mean {near[0]}?" if near else "remove it"
            raise UnusableUrlError(f"has {name}, which is not a parameter of PostgreSQL's URLs: {meant}")
        if not equals:
            raise UnusableUrlError(f"has {name} without a value: expected {name}=value")
        if name == "ssl":
            if value != "true":
                raise UnusableUrlError("has ssl, which can only be true: use sslmode, for example sslmode=disable")
            name, value = "sslmode", "require"
        found[name] = unquote(value)
    return found


def address_of(url: str) -> str:
    """Return host:port/database of a URL, which may be shown; it never contains the login."""
    return url.partition("://")[2].partition("?")[0].rpartition("@")[2]


def settings_in(options: str) -> dict[str, str]:
    """Return the server settings in the parameter `options`, by name, for example of `-c lock_timeout=5s`.

    Other switches are left out. So is what some hosts put there for their proxy, for example `endpoint=name`.
    """
    switches = _SWITCH.findall(options)
    return {name.lower().replace("-", "_"): re.sub(r"\\(.)", r"\1", value) for name, value in switches}


def own_settings(url: str, ours: Mapping[str, str]) -> dict[str, str]:
    """Return our server settings without those that the URL's `options` set to something of their own."""
    theirs = settings_in(parameters(url).get("options", ""))
    return {name: value for name, value in ours.items() if name.lower() not in theirs}


def authority(hosts: str, ports: str) -> str:
    """Return the hosts and ports of libpq's two parameters, separated by commas, as they are written in a URL.

    Raises
    ------
    UnusableUrlError
        If there are several ports, and not one for each host.
    """
    names = [f"[{host}]" if ":" in host else quote(host, safe="") for host in hosts.split(",")]
    numbers = ports.split(",") if "," in ports else [ports] * len(names)
    if len(numbers) != len(names):
        raise UnusableUrlError(f"has {len(numbers)} ports for {len(names)} hosts: expected one port, or one each")
    return ",".join(f"{name}:{number}" if number else name for name, number in zip(names, numbers, strict=True))
