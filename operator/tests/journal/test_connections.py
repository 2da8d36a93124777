"""The part of a journal's URL that may be shown."""

import pytest

from kompensa.journal.postgres.connections import address_of


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host:5432/db",
        "postgresql://user:secret@host:5432/db?sslmode=require",
        "postgresql://host:5432/db?user=x&password=secr@et",
        "postgresql://user:secret@host:5432/db?options=a@b",
    ],
)
def test_an_address_never_tells_a_login(url: str) -> None:
    assert address_of(url) == "host:5432/db"
