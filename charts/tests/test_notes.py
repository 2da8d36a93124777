"""The text at the end of an install: its commands work for this release, and it names only objects that exist."""

import re
from pathlib import Path

import pytest
import yaml

from charts.tests.rendering import CHARTS, Helm, Object, Rendering

SAGAS = sorted((CHARTS.parent / "manifests/sagas").glob("*.yaml"))


def flags(notes: str) -> dict[str, str]:
    """The values that notes of the backbone give for the chart kompensa."""
    return dict(flag.split("=", 1) for flag in re.findall(r"^  --set '(.*)'$", notes, re.MULTILINE))


def operator(kompensa: Rendering, variable: str) -> str:
    value: str = kompensa.pod("Deployment", "kompensa-operator").environment()[variable]["value"]
    return value


def test_a_backbone_that_kompensa_finds_asks_for_nothing(helm: Helm, tmp_path: Path) -> None:
    notes = helm.notes("backbone", {}, tmp_path)
    assert not flags(notes)
    assert "ServiceAccount kompensa-operator in namespace kompensa-system" in notes


@pytest.mark.parametrize(
    ("values", "namespace"),
    [
        ({}, "elsewhere"),
        ({"fullnameOverride": "events"}, "kompensa-system"),
        ({"capture": {"secretName": "logins"}}, "kompensa-system"),
    ],
)
def test_with_the_flags_of_the_notes_kompensa_finds_the_backbone(
    helm: Helm, tmp_path: Path, values: Object, namespace: str
) -> None:
    given: dict[str, Object] = {}
    for path, value in flags(helm.notes("backbone", values, tmp_path, namespace=namespace)).items():
        table, _, name = path.partition(".")
        given.setdefault(table, {})[name] = value
    kompensa = helm.render("kompensa", given)
    backbone = helm.render("backbone", values, namespace=namespace)
    (connect,) = [item for item in backbone.of("Deployment") if item["metadata"]["name"].endswith("-connect")]
    worker = backbone.one("ConfigMap", connect["metadata"]["name"])["data"]["worker.properties"]
    assert f"bootstrap.servers={operator(kompensa, 'KOMPENSA_KAFKA')}\n" in worker
    url = f"http://{connect['metadata']['name']}.{namespace}.svc:8083"
    assert operator(kompensa, "KOMPENSA_CONNECT_URL") == url
    assert operator(kompensa, "KOMPENSA_CONNECT_NAMESPACE") == namespace
    assert backbone.has("Secret", operator(kompensa, "KOMPENSA_CAPTURE_SECRET"))


def test_brokers_of_the_users_are_told_with_their_commas_kept(helm: Helm, tmp_path: Path) -> None:
    own = {"kafka": {"enabled": False, "bootstrap": "one:9092,two:9092"}}
    assert flags(helm.notes("backbone", own, tmp_path)) == {"kafka.bootstrap": r"one:9092\,two:9092"}


def test_no_connect_is_named_where_there_is_none(helm: Helm, tmp_path: Path) -> None:
    notes = helm.notes("backbone", {"connect": {"enabled": False}}, tmp_path, namespace="elsewhere")
    assert flags(notes).keys() == {"kafka.bootstrap"}
    assert "backbone-connect" not in notes
    assert "There is no Kafka Connect here" in notes


def test_the_notes_say_who_may_give_connect_its_logins(helm: Helm, tmp_path: Path) -> None:
    other = {"capture": {"operator": {"serviceAccount": "sagas-kompensa-operator", "namespace": "sagas"}}}
    notes = helm.notes("backbone", other, tmp_path / "other")
    assert "ServiceAccount sagas-kompensa-operator in namespace sagas" in notes
    assert "--set capture.operator.serviceAccount=<name>-operator --set capture.operator.namespace=" in notes
    nobody = {"capture": {"operator": {"serviceAccount": ""}}}
    assert "capture.operator.serviceAccount is empty" in helm.notes("backbone", nobody, tmp_path / "nobody")


def test_an_operator_of_another_name_says_how_the_backbone_gets_to_know_it(helm: Helm, tmp_path: Path) -> None:
    told = "--set capture.operator.serviceAccount=sagas-kompensa-operator --set capture.operator.namespace=team-a"
    assert told in helm.notes("kompensa", {}, tmp_path / "other", namespace="team-a", name="sagas")
    assert "capture.operator" not in helm.notes("kompensa", {}, tmp_path / "usual")


def test_the_shops_order_can_be_applied_to_the_namespace_of_the_release(helm: Helm, tmp_path: Path) -> None:
    """kubectl refuses `-n staging` for an object whose file names another namespace."""
    notes = helm.notes("shop", {}, tmp_path, namespace="staging")
    assert "kubectl -n staging apply -f manifests/sagas/order.yaml" in notes
    assert SAGAS
    for path in SAGAS:
        assert "namespace" not in yaml.safe_load(path.read_text())["metadata"], path.name
