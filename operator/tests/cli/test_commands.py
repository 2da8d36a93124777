"""The command as a user meets it: help, bad input, exit status; never a traceback."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread

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
    participantRef: {name: unknown}
    action: {http: {method: POST, path: /charge}}
"""


def run(*arguments: str) -> tuple[int, str]:
    result = RUNNER.invoke(app, list(arguments))
    return result.exit_code, result.output


@pytest.mark.parametrize(
    "verb", ["sagas", "trace", "watch", "lint", "apply", "demo", "dev", "engine", "operator", "version"]
)
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


@pytest.mark.parametrize("address", ["foo", "ftp://engine", "http://", "http://engine:port", "127.0.0.1:18080"])
def test_an_address_that_is_no_url_is_bad_input(address: str) -> None:
    status, text = run("sagas", "list", "--api", address)
    assert status == 2
    assert f"--api: '{address}'" in text


@pytest.mark.parametrize("saga", ["", "shop/order-1"])
@pytest.mark.parametrize("verb", ["get", "watch", "cancel"])
def test_what_can_be_no_sagas_name_is_bad_input(verb: str, saga: str) -> None:
    status, text = run("sagas", verb, saga, "--api", NOBODY)
    assert status == 2
    assert repr(saga) in text
    assert "-n" in text


def test_a_phase_that_there_is_not_is_bad_input_and_the_others_are_named() -> None:
    status, text = run("sagas", "list", "--phase", "bogus", "--api", NOBODY)
    assert status == 2
    assert "bogus" in text
    assert all(phase in text for phase in ("Suspended", "InterventionRequired", "Terminated"))


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The address of a server that answers every GET so."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b'{"detail": "Not Found"}'), (404, b"<html>"), (200, b"<html>"), (200, b"{}"), (302, b"")],
)
@pytest.mark.parametrize("verb", [("list",), ("get", "order-1")])
def test_a_server_that_is_no_engine_is_bad_input(status: int, body: bytes, verb: tuple[str, ...]) -> None:
    with answering(status, body) as address:
        ended, text = run("sagas", *verb, "--api", address)
    assert ended == 2
    assert f"{address} answers" in text


@pytest.mark.parametrize(("token", "words"), [(("--token", "wrong"), "rejects this token"), ((), "asks for a token")])
def test_a_refused_token_is_a_refusal_that_names_the_commands_own_variable(
    token: tuple[str, ...], words: str, no_cluster: str
) -> None:
    with answering(401, b"{}") as address:
        status, text = run("sagas", "list", "--api", address, *token)
    assert status == 1
    assert f"the engine at {address} {words}" in text
    assert "KOMPENSA_TOKEN" in text
    assert "kompensa dev" not in text
    assert len(text.strip().splitlines()) == 1


@pytest.fixture
def no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kubeconfig that is not there; a pod's own way to the API server is not taken."""
    missing = str(tmp_path / "no-kubeconfig")
    monkeypatch.setenv("KUBECONFIG", missing)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return missing


def test_a_missing_kubeconfig_is_one_line(no_cluster: str) -> None:
    command = [sys.executable, "-c", "from kompensa.cli.main import app; app()", "demo"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines() == [
        f"error: no way to the API server: there is no kubeconfig at {no_cluster}; run in a pod or set KUBECONFIG"
    ]


def test_the_demo_on_a_cluster_that_does_not_answer_is_status_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, NOBODY)))
    status, text = run("demo")
    assert status == 3
    assert "127.0.0.1:9" in text
    assert "is the cluster up?" in text


def test_the_demo_names_a_namespace_without_a_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with answering(404, b'{"message": "deployments.apps orders not found"}') as address:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, address)))
        status, text = run("demo", "--namespace", "nosuch")
    assert status == 2
    assert "there is no shop in namespace nosuch" in text
    assert "--namespace" in text


def kubeconfig(folder: Path, server: str) -> Path:
    """A kubeconfig for this server."""
    named = {"clusters": [{"name": "c", "cluster": {"server": server}}], "users": [{"name": "u", "user": {}}]}
    context = {"contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x"}
    path = folder / "kubeconfig"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **named, **context}))
    return path


def test_a_broker_out_of_reach_is_status_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("kompensa_cdc.watch.follow"), "CONNECT_SECONDS", 0.5)
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
    assert "SagaDefinition shop/broken: step charge: Participant unknown does not exist" in text
    assert "1 objects checked, 1 findings" in text


def test_lint_names_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("# Müller".encode("latin-1"))
    status, text = run("lint", str(tmp_path))
    assert status == 2
    assert "latin.yaml is not text in UTF-8" in text


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


def test_the_version_is_printed_for_programs_too() -> None:
    status, text = run("version", "-o", "json")
    assert status == 0
    assert set(json.loads(text)) == {"version", "python"}


def test_lint_findings_are_printed_for_programs_too(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    status, text = run("lint", "-o", "json", str(tmp_path))
    assert (status, json.loads(text)) == (0, {"checked": 0, "findings": []})
