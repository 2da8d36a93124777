"""The log level of a worker."""

from typer.testing import CliRunner

from kompensa_cdc.main import app


def test_an_unknown_level_is_rejected_by_its_variable() -> None:
    arguments = ["replica", "--spec", "none.yaml", "--database-url", "postgresql://host/db", "--kafka", "host:9092"]
    rejected = CliRunner().invoke(app, arguments, env={"LOG_LEVEL": "verbose"})
    assert rejected.exit_code == 2
    assert "LOG_LEVEL" in rejected.output
