"""The URL of a process's database, from its environment.

Charts and operators give either a URL, or the parts of a Secret in libpq's own variables next to an empty URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from kompensa_common.secrets import meant

EMPTY = ("postgresql://", "postgres://")
_PARTS = ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE")


def database_url(environment: Mapping[str, str], variable: str) -> str:
    """Return the URL in a variable, without line ends at its end; empty if it is not set.

    An empty URL, `postgresql://`, is completed from PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE, each
    percent-encoded. Without PGHOST it stays empty, and libpq's defaults hold.

    Raises
    ------
    UnusableValueError
        If a value has a line end or NUL inside.
    """
    url = meant(environment.get(variable, ""), variable)
    if url not in EMPTY or not environment.get("PGHOST"):
        return url
    host, port, user, password, name = (meant(environment.get(part, ""), part) for part in _PARTS)
    address = f"[{host}]" if ":" in host else quote(host, safe=",")
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else f"{quote(user, safe='')}@"
    return f"postgresql://{login if user else ''}{address}{f':{port}' if port else ''}/{quote(name, safe='')}"
