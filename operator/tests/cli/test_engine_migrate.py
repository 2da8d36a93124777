"""The output of `kompensa engine migrate`, even for a journal that cannot be migrated."""

import pytest
from typer.testing import CliRunner

from kompensa.api import serve
from kompensa.cli.main import app
from kompensa.journal.errors import JournalError, JournalUnavailableError, RejectedError
from kompensa.journal.postgres.migrate import JournalTooNewError


@pytest.mark.parametrize(
    ("applied", "said"),
    [(["0001_journal.sql", "0002_more.sql"], "applied 0001_journal.sql, 0002_more.sql"), ([], "nothing to apply")],
)
def test_it_says_what_was_applied(applied: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "migrate", lambda: applied)
    told = CliRunner().invoke(app, ["engine", "migrate"])
    assert told.exit_code == 0
    assert said in told.output


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RejectedError("PostgreSQL refuses the statement (42501): permission denied"), 1),
        (JournalTooNewError("the journal was migrated by a newer version"), 1),
        (JournalUnavailableError("PostgreSQL cannot be reached"), 3),
    ],
)
def test_a_journal_that_cannot_be_migrated_is_told_in_a_line(
    error: JournalError, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> list[str]:
        raise error

    monkeypatch.setattr(serve, "migrate", refuse)
    told = CliRunner().invoke(app, ["engine", "migrate"])
    assert told.exit_code == status
    assert f"error: {error}" in told.output
