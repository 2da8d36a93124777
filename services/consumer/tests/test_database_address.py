"""The text about the target database in a status."""

import psycopg
import pytest

from kompensa_consumer.database import CONNECT_TIMEOUT_SECONDS, trouble


def failure(database_url: str) -> BaseException:
    with pytest.raises(psycopg.Error) as caught:
        psycopg.connect(database_url, connect_timeout=CONNECT_TIMEOUT_SECONDS)
    return caught.value


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    url = "postgresql://invoices:secret@127.0.0.1:1/invoices"
    shown = trouble(url, failure(url))
    assert shown.startswith("PostgreSQL invoices@127.0.0.1:1/invoices: ")
    assert "secret" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://invoices:sec%ret@127.0.0.1:1/invoices",
        "postgresql://invoices:p@sec%25ret@127.0.0.1:1/invoices",
        "postgresql://invoices:1/sec%25ret@127.0.0.1:1/invoices",
        "postgresql://invoices:sec%25ret@[127.0.0.1/invoices",
        "mysql://invoices:sec%25ret@127.0.0.1:1/invoices",
    ],
)
def test_a_url_that_cannot_be_read_is_not_quoted(url: str) -> None:
    shown = trouble(url, failure(url))
    assert "expected postgresql://user:password@host:5432/database" in shown
    assert "sec%" not in shown
