"""How loud a worker is told to be."""

import pytest
from typer.testing import CliRunner

from kompensa_cdc.main import _level, app


@pytest.mark.parametrize("text", ["info", "INFO", "Warning", ""])
def test_a_level_is_read_in_whatever_case(text: str) -> None:
    assert _level(text) == (text.lower() or "info")


def test_a_level_that_there_is_not_is_named_with_those_there_are() -> None:
    arguments = ["replica", "--spec", "none.yaml", "--database-url", "postgresql://host/db", "--kafka", "host:9092"]
    refused = CliRunner().invoke(app, arguments, env={"LOG_LEVEL": "verbose"})
    assert refused.exit_code == 2
    assert "LOG_LEVEL" in refused.output
