"""HTTP addresses: whether one can be called at all, and how to take the login out of one.

Messages, logs and statuses name the address of a server, and so do the errors of HTTP libraries. A login stays out of
all of them only if it is taken out of the address before either is used.
"""

from __future__ import annotations

import re
from base64 import b64encode
from ipaddress import IPv6Address
from urllib.parse import unquote, urlsplit

_LABEL = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_NAME = 253
_NOT_A_HOST = "its host is neither a name nor an IP address"


def without_login(url: str) -> tuple[str, dict[str, str]]:
    """Split `user:password@` from a URL.

    All that stands before the last @ counts as login: a password whose reserved characters were not percent-encoded
    must not be shown in part.

    Returns
    -------
    The address without its login, and the headers that carry the login; no headers if there is none.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    login, _, host = rest.rpartition("@")
    address = f"{scheme}{separator}{host}"
    if not login:
        return address, {}
    user, _, password = login.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}"
    return address, {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def fault_of_url(url: str) -> str | None:
    """Return what keeps a URL from ever being called, or None."""
    try:
        parts = urlsplit(url)
        if not _is_host(parts.hostname or ""):
            return _NOT_A_HOST
    except ValueError:
        return _NOT_A_HOST
    try:
        port = parts.port
    except ValueError:
        port = 0
    return "its port is not a number from 1 to 65535" if port == 0 else None


def _is_host(host: str) -> bool:
    """Return whether a resolver accepts this host (RFC 1035, 2.3.4); names with an underscore exist.

    Raises
    ------
    ValueError
        If it is not an IPv6 address or not a name of any language.
    """
    if ":" in host:
        return bool(IPv6Address(host))
    name = host.encode("idna").decode("ascii").removesuffix(".")
    return len(name) <= _LONGEST_NAME and all(_LABEL.fullmatch(label) for label in name.split("."))
