"""Problem documents (RFC 9457): the one form of every refusal and error that our HTTP interfaces send."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"
NAMESPACE = "urn:kompensa:problem:"
"""The beginning of the `type` of a problem; the rest is its slug."""


def problem_document(status: int, slug: str, detail: str, **members: Any) -> dict[str, Any]:
    """Return the members of a problem's JSON object.

    Parameters
    ----------
    status
        HTTP status.
    slug
        Names the problem in kebab-case, for example `unknown-order`; programs may rely on it.
    detail
        A sentence for a person: what is wrong, what was expected, what to do next.
    members
        Further members, for example the fields that are wrong.
    """
    title = slug.replace("-", " ").capitalize()
    return {"type": NAMESPACE + slug, "title": title, "status": status, "detail": detail, **members}


def slug_of_status(status: int) -> str:
    """Return the slug of a problem that has no other name than its HTTP status, for example `not-found` for 404."""
    return HTTPStatus(status).phrase.lower().replace(" ", "-")
