"""The command as a user meets it: help, bad input, exit status; never a traceback."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kompensa.cli.main import app

RUNNER = CliRunner()
NOBODY = "http://127.0.0.1:9"
DEFINITION = """
apiVersion: kompensa.dev/v1alpha1
kind: SagaDefinition
metadata: {name: broken}
spec:
  inputSchema: {type: object}
  steps:
  - name: charge
    kind: Retriable
    participantRef: {name: nobody}
    action: {http: {method: POST, path: /charge}}
"""


def run(*arguments: str) -> tuple[int, str]:
    result = RUNNER.invoke(app, list(arguments))
    return result.exit_code, result.output


@pytest.mark.parametrize("verb", ["sagas", "watch", "lint", "apply", "demo", "dev", "engine", "operator", "version"])
def test_every_verb_has_help(verb: str) -> None:
    status, text = run(verb, "--help")
    assert status == 0
    assert "Usage" in text


def test_help_loads_none_of_the_heavy_libraries() -> None:
    heavy = ["aiohttp", "kubernetes", "kopf", "fastapi", "confluent_kafka", "psycopg"]
    probe = f"import sys; from kompensa.cli.main import app\nprint([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_an_engine_out_of_reach_is_one_line_and_status_three() -> None:
    status, text = run("sagas", "list", "--api", NOBODY)
    assert status == 3
    assert len(text.strip().splitlines()) == 1
    assert "kompensa dev" in text


def test_a_broker_out_of_reach_is_status_three() -> None:
    status, text = run("watch", "orders.customer-created", "--kafka", "127.0.0.1:9")
    assert status == 3
    assert "127.0.0.1:9" in text


def test_options_that_exclude_each_other_are_refused() -> None:
    status, text = run("watch", "a-topic", "--from-beginning", "--last", "3")
    assert status == 2
    assert "exclude each other" in text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    status, text = run("apply", str(tmp_path / "none.yaml"))
    assert status == 2
    assert "none.yaml: no such file" in text


def test_a_file_without_our_kinds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}")
    status, text = run("apply", str(tmp_path))
    assert status == 2
    assert "no object of kompensa.dev/v1alpha1" in text


def test_lint_tells_every_finding_and_fails(tmp_path: Path) -> None:
    path = tmp_path / "definition.yaml"
    path.write_text(DEFINITION)
    status, text = run("lint", str(path))
    assert status == 1
    assert "SagaDefinition shop/broken: step charge: Participant nobody does not exist" in text
    assert "1 objects checked, 1 findings" in text


def test_lint_finds_nothing_wrong_with_the_shop() -> None:
    status, text = run("lint", str(Path(__file__).parents[3] / "manifests" / "shop"))
    assert (status, "0 findings" in text) == (0, True)


def test_the_operator_says_which_variable_it_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KOMPENSA_API_URL", raising=False)
    status, text = run("operator")
    assert status == 2
    assert "KOMPENSA_API_URL is not set" in text


def test_the_version_is_that_of_the_distribution() -> None:
    assert run("version") == (0, "0.1.0\n")
