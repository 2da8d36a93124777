"""The form of a problem document."""

from __future__ import annotations

from kompensa_common.problems import problem_document, slug_of_status


def test_a_problem_has_the_members_of_the_rfc_and_further_ones() -> None:
    assert problem_document(422, "unknown-order", "there is no order 7", findings=["id"]) == {
        "type": "urn:kompensa:problem:unknown-order",
        "title": "Unknown order",
        "status": 422,
        "detail": "there is no order 7",
        "findings": ["id"],
    }


def test_a_status_alone_gives_a_slug() -> None:
    assert slug_of_status(404) == "not-found"
