"""The URL of a process's database, from its environment.

Charts and operators give either a URL, or the parts of a Secret in libpq's own variables next to an empty URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from kompensa_common.libpq import UnusableUrlError, authority, is_clear, parameters
from kompensa_common.secrets import UnusableValueError, meant

EMPTY = ("postgresql://", "postgres://")
_PARTS = ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE")


def database_url(environment: Mapping[str, str], variable: str) -> str:
    """Return the URL in a variable, without line ends at its end; empty if it is not set.

    An empty URL, `postgresql://`, is completed from PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE, each
    percent-encoded. Without PGHOST it stays empty, and libpq's defaults hold.

    Raises
    ------
    UnusableValueError
        If a value has a line end or NUL inside, or the URL a parameter that libpq does not know.
    """
    url = meant(environment.get(variable, ""), variable)
    if url not in EMPTY:
        _check_parameters(url, variable)
        return url
    if not environment.get("PGHOST"):
        return url
    hosts, ports, user, password, name = (meant(environment.get(part, ""), part) for part in _PARTS)
    try:
        address = authority(hosts, ports)
    except UnusableUrlError as error:
        raise UnusableValueError(f"PGPORT {error}") from None
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else f"{quote(user, safe='')}@"
    return f"postgresql://{login if user else ''}{address}/{quote(name, safe='')}"


def _check_parameters(url: str, variable: str) -> None:
    """In a URL that is not clear, a parameter's name may be part of the password: each process has its own error."""
    if not is_clear(url):
        return
    try:
        parameters(url)
    except UnusableUrlError as error:
        raise UnusableValueError(f"{variable} {error}") from None
