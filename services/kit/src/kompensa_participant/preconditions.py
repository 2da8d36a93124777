"""If-Match: change a thing only if it still has the version that the caller has read (RFC 9110, 13.1.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import Header

from kompensa_participant.problem import Problem

Versions = Sequence[int] | None
"""The versions at which a thing may be changed; None: at any."""

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The ETag that must still be current, or 412. Left out, the last write wins.",
        examples=['"3"'],
    ),
]


def entity_tag(version: int) -> str:
    """The ETag of a version: its number in quotes."""
    return f'"{version}"'


def matched_versions(if_match: str | None) -> Versions:
    """Return the versions that an If-Match names. A tag in another form than ours matches none."""
    if if_match is None or if_match.strip() == "*":
        return None
    return [int(version) for version in re.findall(r'(?<!W/)"([1-9][0-9]{0,17})"', if_match)]


def version_mismatch(what: str, version: int) -> Problem:
    """The answer to an If-Match that names another version (412). `what` is for example `customer 4711`."""
    detail = f"{what} is at version {version}: read it again, then send If-Match: {entity_tag(version)}"
    return Problem(412, "version-mismatch", detail)
