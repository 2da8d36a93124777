"""A database's URL from the environment."""

from urllib.parse import unquote, urlsplit

import pytest

from kompensa_common.databases import database_url
from kompensa_common.secrets import UnusableValueError

PARTS = {"PGHOST": "db", "PGPORT": "5433", "PGUSER": "ana", "PGPASSWORD": "se cret", "PGDATABASE": "orders"}


def test_a_url_is_taken_as_it_is_without_its_line_end() -> None:
    assert database_url({"DATABASE_URL": "postgresql://u@h/d\n", **PARTS}, "DATABASE_URL") == "postgresql://u@h/d"
    assert database_url({}, "DATABASE_URL") == ""


@pytest.mark.parametrize("password", ["plain", "a@b:c/d?e#f%g h", "ü'\"\\", "*anchor", "1234", "p=q&r"])
def test_parts_make_a_url_that_reads_back(password: str) -> None:
    url = database_url({"URL": "postgresql://", **PARTS, "PGPASSWORD": f"{password}\n"}, "URL")
    parts = urlsplit(url)
    assert (parts.hostname, parts.port, parts.username, parts.path) == ("db", 5433, "ana", "/orders")
    assert unquote(parts.password or "") == password


def test_parts_that_are_not_there_are_left_to_libpq() -> None:
    assert database_url({"URL": "postgresql://"}, "URL") == "postgresql://"
    assert database_url({"URL": "postgresql://", "PGHOST": "db"}, "URL") == "postgresql://db/"


def test_an_ipv6_address_gets_brackets() -> None:
    assert database_url({"URL": "postgresql://", "PGHOST": "fd00::1"}, "URL") == "postgresql://[fd00::1]/"


def test_a_part_of_two_lines_is_rejected_by_name() -> None:
    with pytest.raises(UnusableValueError, match="PGPASSWORD"):
        database_url({"URL": "postgresql://", **PARTS, "PGPASSWORD": "a\nb"}, "URL")
