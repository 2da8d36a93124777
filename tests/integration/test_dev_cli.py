"""The command line against a running engine and a running broker."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from kompensa.cli.main import app
from kompensa_dev.stack import Stack

RUNNER = CliRunner()
WAITING = """
apiVersion: kompensa.dev/v1alpha1
kind: Participant
metadata: {name: nobody-home, namespace: cli}
spec: {url: "http://127.0.0.1:9", timeout: 1s}
---
apiVersion: kompensa.dev/v1alpha1
kind: SagaDefinition
metadata: {name: waits, namespace: cli}
spec:
  inputSchema: {type: object}
  retryPolicy: {initialInterval: 1h, maximumInterval: 1h, maximumAttempts: 5}
  steps:
  - name: call
    kind: Compensatable
    participantRef: {name: nobody-home}
    action: {http: {method: POST, path: /do}}
    compensation: {http: {method: POST, path: /undo}}
---
apiVersion: kompensa.dev/v1alpha1
kind: Saga
metadata: {name: waiting, namespace: cli}
spec: {definitionRef: {name: waits}, input: {}}
"""


@pytest.fixture(scope="module")
def applied(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The stack with a saga that waits for a participant who never answers."""
    path = tmp_path_factory.mktemp("cli") / "waiting.yaml"
    path.write_text(WAITING)
    text = kompensa(stack, "apply", str(path))
    assert "SagaDefinition cli/waits revision" in text
    assert "Saga cli/waiting started, id" in text
    return stack


def kompensa(stack: Stack, *arguments: str, status: int = 0) -> str:
    result = RUNNER.invoke(app, [*arguments, "--api", stack.ports.api_url])
    assert result.exit_code == status, result.output
    return result.output


def listed(stack: Stack, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(kompensa(stack, "sagas", "list", "-o", "json", *arguments))
    return found


def test_sagas_are_listed_as_a_table_and_as_json(applied: Stack) -> None:
    assert "waiting" in kompensa(applied, "sagas", "list", "-n", "cli")
    (saga,) = listed(applied, "-n", "cli", "--definition", "waits")
    assert saga["phase"] == "Running"
    assert listed(applied, "-n", "cli", "--phase", "Succeeded") == []


def test_a_saga_is_found_by_name_and_shown_in_full(applied: Stack) -> None:
    text = kompensa(applied, "sagas", "get", "waiting", "-n", "cli")
    assert "Definition: waits, revision" in text
    assert "call" in text
    assert "History:" in text
    same = yaml.safe_load(kompensa(applied, "sagas", "get", "waiting", "-o", "yaml"))
    assert same["name"] == "waiting"


def test_an_unknown_saga_is_named(applied: Stack) -> None:
    text = kompensa(applied, "sagas", "get", "nothing-like-it", status=2)
    assert "nothing-like-it" in text
    assert "kubectl get sagas -A -o wide" in text
    text = kompensa(applied, "sagas", "cancel", "nothing-like-it", "-n", "cli", status=2)
    assert "kubectl get sagas -n cli -o wide" in text


def test_a_saga_is_suspended_resumed_cancelled_and_watched_to_its_end(applied: Stack) -> None:
    assert "suspend asked" in kompensa(applied, "sagas", "suspend", "waiting")
    assert "Suspended" in watched_until(applied, "Suspended")
    assert "resume asked" in kompensa(applied, "sagas", "resume", "waiting")
    assert "cancel asked" in kompensa(applied, "sagas", "cancel", "waiting")
    assert listed(applied, "-n", "cli")[0]["phase"] in ("Compensating", "Compensated", "Running")


def watched_until(stack: Stack, phase: str) -> str:
    """The lines of `sagas watch` within three seconds; it ends with a word that the saga has not ended."""
    text = kompensa(stack, "sagas", "watch", "waiting", "--timeout", "3", status=1)
    assert phase in text
    return text


@pytest.mark.parametrize("service", ["payments", "orders"])
def test_the_address_of_another_service_is_reported_as_not_an_engine(applied: Stack, service: str) -> None:
    for verb in (["list"], ["get", "waiting"]):
        result = RUNNER.invoke(app, ["sagas", *verb, "--api", applied.ports.urls[service]])
        assert result.exit_code == 2
        assert f"{applied.ports.urls[service]} answers" in result.output
        assert "--api" in result.output


def test_a_definition_that_the_engine_rejects_is_shown_with_every_finding(applied: Stack, tmp_path: Path) -> None:
    definition = list(yaml.safe_load_all(WAITING))[1]
    broken = {**definition, "metadata": {"name": "broken", "namespace": "empty"}}
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(broken))
    text = kompensa(applied, "apply", str(tmp_path), status=1)
    assert "SagaDefinition empty/broken" in text
    assert "nobody-home" in text


def test_a_topic_is_watched_and_a_misspelt_one_corrected(applied: Stack) -> None:
    assert applied.kafka is not None
    broker = ["--kafka", applied.kafka.bootstrap]
    assert "orders.customer-created" in RUNNER.invoke(app, ["watch", *broker]).output
    misspelt = RUNNER.invoke(app, ["watch", "orders.customer-craeted", *broker])
    assert misspelt.exit_code == 2
    assert "did you mean orders.customer-created" in misspelt.output
