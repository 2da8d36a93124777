"""What a caller is told when a request does not succeed: a problem (RFC 9457), as an exception anyone may raise.

Two kinds, and the difference is what a saga does next. `Refused` is the business saying no: it is kept, and the saga
undoes what came before; so is any other `Problem` with status 409 or 422 that an action raises, since a saga reads it
so. One with another status keeps nothing, so the same call may be made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from kompensa_common.problems import problem_document


class Problem(Exception):
    """An error with everything the caller is told.

    Parameters
    ----------
    status
        HTTP status.
    slug
        Names the problem in kebab-case, e.g. `unknown-order`; a saga shows it as its reason (`UnknownOrder`).
    detail
        One sentence for a person: the thing, what was expected, what to do next.
    headers
        Sent with the answer, e.g. Retry-After.
    members
        More members of the body, e.g. the fields that are wrong.
    """

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    def body(self) -> dict[str, Any]:
        """The members of the JSON object."""
        return problem_document(self.status, self.slug, self.detail, **self.members)


class Refused(Problem):
    """The business says no (409 or 422): the change is dropped, the answer is kept for this key."""

    def __init__(self, slug: str, detail: str, *, status: Literal[409, 422] = 422) -> None:
        super().__init__(status, slug, detail)
