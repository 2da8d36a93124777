"""Values that YAML, URLs or templates could read as something else: each arrives as it was written."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from charts.tests.cluster import namespace, present, serving
from charts.tests.rendering import INSTALLED, Helm, Object, RefusedError, Rendering

TEXTS = [
    "0123456789",
    "1e3",
    "0x1F",
    "true",
    "null",
    "~",
    "a #b",
    "a: b",
    "*a",
    "&a",
    "!a",
    "@a",
    "%a",
    "'a",
    '"a"',
    "a'b\"c",
    "- a",
    "{{ .Values }}",
    "${a}",
    "a\\nb",
    "a/b?c#d@e:f%20g+h i",
    "señor 雪",
    "2026-11-28",
]
# Names of Kubernetes objects that YAML reads as numbers or more.
NAMES = ["123", "null"]


def held(name: str, place: str, **data: str) -> Object:
    """A Secret of the cluster."""
    encoded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
    return {**present("Secret", name, place), "data": encoded}


def installed(helm: Helm, folder: Path, chart: str, values: Object, *objects: Object) -> Rendering:
    with serving([namespace(INSTALLED[chart]), *objects], folder) as kubeconfig:
        return helm.render_on(kubeconfig, chart, values)


CRM: Object = {"databases": [{"database": "crm"}]}


def test_passwords_of_the_cluster_survive_an_upgrade(helm: Helm, tmp_path: Path) -> None:
    secrets = [held(f"postgres-d{number}", "data", password=text) for number, text in enumerate(TEXTS)]
    databases = [{"database": f"d{number}"} for number in range(len(TEXTS))]
    postgres = installed(helm, tmp_path, "postgres", {"databases": databases}, *secrets)
    for number, text in enumerate(TEXTS):
        login = postgres.one("Secret", f"postgres-d{number}")["stringData"]
        assert login["password"] == text
        expected = {"user": f"d{number}", "password": text, "host": "postgres.data.svc", "port": "5432"}
        assert conninfo_to_dict(login["url"]) == {**expected, "dbname": f"d{number}"}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_line_end_is_not_a_part_of_a_password(helm: Helm, tmp_path: Path, line_end: str) -> None:
    postgres = installed(helm, tmp_path, "postgres", CRM, held("postgres-crm", "data", password=f"secret{line_end}"))
    login = postgres.one("Secret", "postgres-crm")["stringData"]
    assert login["password"] == "secret"
    assert conninfo_to_dict(login["url"])["password"] == "secret"


@pytest.mark.parametrize("text", ["1e3", "a #b", "*a", "\"a'", "{{ .Values }}"])
def test_a_token_of_the_cluster_survives_an_upgrade(helm: Helm, tmp_path: Path, text: str) -> None:
    kompensa = installed(helm, tmp_path, "kompensa", {}, held("kompensa-api", "kompensa-system", token=text))
    assert kompensa.one("Secret", "kompensa-api")["stringData"]["token"] == text


def test_variables_and_annotations_arrive_as_written(helm: Helm) -> None:
    annotations = {f"example.com/mine-{number}": text for number, text in enumerate(TEXTS)}
    variables = [{"name": f"MINE_{number}", "value": text} for number, text in enumerate(TEXTS)]
    pod = {"extraEnv": variables, "podAnnotations": annotations}
    kompensa = helm.render("kompensa", {"engine": pod, "operator": pod, "serviceAccount": {"annotations": annotations}})
    shop = helm.render("shop", {"services": {"orders": pod}})
    for rendering, name in ((kompensa, "kompensa-engine"), (kompensa, "kompensa-operator"), (shop, "orders")):
        found = rendering.pod("Deployment", name)
        assert [found.environment()[entry["name"]] for entry in variables] == variables
        assert found.owner["spec"]["template"]["metadata"]["annotations"] == annotations
    assert kompensa.one("ServiceAccount", "kompensa-engine")["metadata"]["annotations"] == annotations


def test_settings_of_postgresql_arrive_as_written(helm: Helm) -> None:
    settings = {f"mine.{'a' * (number + 1)}": text for number, text in enumerate(TEXTS)}
    postgres = helm.render("postgres", {"settings": {"extra": settings}})
    lines = dict(line.split(" = ", 1) for line in configuration(postgres) if line.startswith("mine."))
    assert {name: value[1:-1].replace("''", "'") for name, value in lines.items()} == settings


def test_settings_of_kafka_arrive_as_written(helm: Helm) -> None:
    """For example a login for your own Kafka: in a properties file, a backslash escapes."""
    settings = {f"mine.{number}": text for number, text in enumerate(TEXTS)}
    backbone = helm.render("backbone", {"connect": {"settings": settings}})
    worker = backbone.one("ConfigMap", "backbone-connect")["data"]["worker.properties"]
    lines = dict(line.split("=", 1) for line in worker.splitlines() if line.startswith("mine."))
    assert {name: value.replace("\\\\", "\\") for name, value in lines.items()} == settings


def configuration(postgres: Rendering) -> list[str]:
    return list(postgres.one("ConfigMap", "postgres")["data"]["postgresql.conf"].splitlines())


def test_a_line_end_cannot_add_a_setting(helm: Helm) -> None:
    injected = "a'\nlisten_addresses = ''"
    with pytest.raises(RefusedError, match="cluster_name"):
        helm.render("postgres", {"settings": {"extra": {"cluster_name": injected}}})
    backbone = helm.render("backbone", {"kafka": {"settings": {"mine": "a\nlog.dirs=/tmp"}}})
    broker = backbone.one("ConfigMap", "backbone-kafka")["data"]["server.properties"]
    assert "mine=a\\nlog.dirs=/tmp" in broker.splitlines()


SECRETS_BY_NAME: list[tuple[str, Any]] = [
    ("kompensa", lambda name: {"api": own(name), "postgres": {"superuser": own(name)}, "caBundle": {"secret": name}}),
    ("kompensa", lambda name: {"engine": {"proxy": own(name), "clientCertificate": own(name)}}),
    (
        "kompensa",
        lambda name: {"journal": own(name), "postgres": {"enabled": False}, "connect": {"captureSecret": name}},
    ),
    ("postgres", lambda name: {"databases": [{"database": "crm", "secret": name, "existing": True}]}),
    ("postgres", lambda name: {"storage": {"existingClaim": name, "className": name}}),
    ("shop", lambda name: {"services": {"orders": {"database": external(name)}}}),
    ("shop", lambda name: {"kompensa": {"namespace": name, "connectNamespace": name}}),
    (
        "backbone",
        lambda name: {"capture": {"secretName": name, "operator": {"serviceAccount": name, "namespace": name}}},
    ),
    ("kompensa", lambda name: {"watchNamespaces": [name], "connect": {"namespace": name}}),
]


def own(name: str) -> Object:
    return {"existingSecret": {"name": name}}


def external(name: str) -> Object:
    return {"bundled": False, **own(name), "existingCaptureSecret": {"name": name}}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", range(len(SECRETS_BY_NAME)))
def test_names_that_yaml_reads_as_numbers_stay_text(helm: Helm, case: int, name: str) -> None:
    chart, values = SECRETS_BY_NAME[case]
    rendering = helm.render(chart, values(name), namespace=name, name=name)
    assert rendering.objects
    for item in rendering.objects:
        odd = [path for path, value in named(item, "") if not isinstance(value, str)]
        assert not odd, (item["kind"], item["metadata"]["name"])


NAMED = (
    "name",
    "namespace",
    "secretName",
    "claimName",
    "storageClassName",
    "serviceAccountName",
    "key",
    "value",
    "host",
)
MAPS_OF_TEXT = ("labels", "annotations", "matchLabels", "selector", "stringData", "data", "nodeSelector")


def named(node: object, path: str) -> Iterator[tuple[str, object]]:
    """Fields that the API server wants as text, with their paths."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from named(item, f"{path}[{index}]")
    if not isinstance(node, dict) or "openAPIV3Schema" in node:
        return
    for field, value in node.items():
        here = f"{path}.{field}"
        if field in MAPS_OF_TEXT and isinstance(value, dict) and "matchLabels" not in value:
            yield from ((f"{here}.{key}", text) for key, text in value.items())
        elif field in NAMED and not isinstance(value, dict | list):
            yield here, value
        else:
            yield from named(value, here)
