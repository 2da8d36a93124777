"""The answer to a request that does not succeed: a problem (RFC 9457), as an exception that any code may raise.

Two kinds differ by the next step of the saga. `Refused` is a no of the business: it is kept under the key, and the saga
undoes the steps before. Any other `Problem` with status 409 or 422 from an action counts as a refusal, too. A problem
with another status keeps nothing, so the same call may be made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from kompensa_common.problems import problem_document


class Problem(Exception):
    """An error with everything that the caller gets.

    Parameters
    ----------
    status
        HTTP status.
    slug
        Names the problem in kebab-case, for example `unknown-order`; a saga shows it as its reason (`UnknownOrder`).
    detail
        One sentence for a person: the thing, what was expected, what to do next.
    headers
        Sent with the answer, for example Retry-After.
    members
        More members of the body, for example the fields that are wrong.
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
