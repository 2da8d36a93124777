"""Values of Secrets, credential files and environment variables: as they were meant, not as an editor saved them."""

from __future__ import annotations

import re

_END = re.compile(r"(\r?\n)+\Z")
_UNUSABLE = re.compile(r"[\r\n\0]")


class UnusableValueError(ValueError):
    """A secret value that no login, token or URL can have. The message never quotes it."""


def meant(value: str, name: str) -> str:
    """Return the value without the line ends at its end, which editors, `echo` and `--from-file` add.

    Parameters
    ----------
    name
        Place of the value, for the error: for example `DATABASE_URL`, or `the key password of Secret orders`.

    Raises
    ------
    UnusableValueError
        If a line end or NUL remains inside.
    """
    text = _END.sub("", value)
    if _UNUSABLE.search(text):
        raise UnusableValueError(f"{name} has a line end or NUL inside: expected one line; write the value again")
    return text
