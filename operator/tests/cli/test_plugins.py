"""Verbs that other distributions bring, and the messages if those are not installed."""

from importlib.metadata import EntryPoint, EntryPoints, entry_points

import pytest
import typer
from typer.testing import CliRunner

from kompensa.cli import plugins
from kompensa.cli.failures import PlainGroup

RUNNER = CliRunner()


def greet(name: str) -> None:
    """Say hello."""
    typer.echo(f"hello {name}")


def app_with(monkeypatch: pytest.MonkeyPatch, *entries: EntryPoint) -> typer.Typer:
    monkeypatch.setattr(plugins, "entry_points", lambda group: EntryPoints(entries).select(group=group))
    app = typer.Typer(cls=PlainGroup)
    plugins.add_commands(app, panel="Try")
    return app


def test_a_verb_of_another_distribution_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda _: greet)
    entry = EntryPoint("greet", "elsewhere:greet", plugins.GROUP)
    assert RUNNER.invoke(app_with(monkeypatch, entry), ["greet", "Ada"]).output == "hello Ada\n"


def test_a_known_verb_that_is_missing_names_its_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_with(monkeypatch)
    result = RUNNER.invoke(app, ["dev", "--no-demo", "-f", "mine.yaml"])
    assert result.exit_code == 2
    assert "kompensa-dev" in result.output
    assert "kompensa-dev" in RUNNER.invoke(app, ["--help"]).output


def test_both_verbs_are_installed_here() -> None:
    assert {entry.name for entry in entry_points(group=plugins.GROUP)} >= set(plugins.KNOWN)
