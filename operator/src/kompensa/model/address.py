"""Whether a Participant's URL can be called at all."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import urlsplit

_LABEL = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_NAME = 253


def fault_of_url(url: str) -> str | None:
    """What keeps a URL from ever being called, or None."""
    try:
        parts = urlsplit(url)
        if not _is_host(parts.hostname or ""):
            return "its host is neither a name nor an IP address"
    except ValueError:
        return "its host is neither a name nor an IP address"
    try:
        port = parts.port
    except ValueError:
        port = 0
    return "its port is no number from 1 to 65535" if port == 0 else None


def _is_host(host: str) -> bool:
    """Only what no resolver takes is none (RFC 1035, 2.3.4): names with an underscore exist. Raises ValueError too."""
    if ":" in host:
        return bool(IPv6Address(host))
    name = host.encode("idna").decode("ascii").removesuffix(".")
    return len(name) <= _LONGEST_NAME and all(_LABEL.fullmatch(label) for label in name.split("."))
