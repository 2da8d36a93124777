"""Values are documented, are checked before anything is installed, and are listed in the README."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts import readme
from charts.tests.rendering import CHARTS, INSTALLED, MATRIX, Helm, Object, RefusedError

KIND_CLUSTER = CHARTS.parent / "manifests/kind/cluster.yaml"
CHARTS_WITH_VALUES = readme.charts_with_values()


@pytest.mark.parametrize("chart", CHARTS_WITH_VALUES, ids=lambda path: path.name)
def test_the_readme_tells_the_values_as_they_are(chart: Path) -> None:
    text = (chart / "README.md").read_text()
    assert readme.renewed(text, (chart / "values.yaml").read_text()) == text, "run python3 charts/readme.py"


def test_a_value_without_a_comment_is_found() -> None:
    with pytest.raises(readme.UndocumentedValueError, match=r"kafka\.heap has no comment"):
        readme.values_of("kafka:\n  # -- Whether to run it.\n  enabled: true\n  heap: 1g\n")


def test_a_comment_speaks_for_all_that_is_below_it() -> None:
    (value,) = readme.values_of("# -- What the\n# scheduler sets aside.\nrequests: {cpu: 25m, memory: 96Mi}\n")
    assert value.row() == '| `requests` | `{"cpu": "25m", "memory": "96Mi"}` | What the scheduler sets aside. |'


@pytest.mark.parametrize("chart", INSTALLED)
def test_charts_pass_helms_own_checks(helm: Helm, chart: str) -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHARTS / chart))


@pytest.mark.parametrize("chart", INSTALLED)
def test_the_schema_knows_every_value(chart: str) -> None:
    """Every object of the schema that lists its fields is closed, so a misspelt value is refused everywhere."""
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())
    values = yaml.safe_load((CHARTS / chart / "values.yaml").read_text())
    assert values.keys() <= schema["properties"].keys()
    open_objects = [path for path in _objects_with_fields(schema, "$") if path not in OPEN]
    assert not open_objects


@pytest.mark.parametrize("chart", CHARTS_WITH_VALUES, ids=lambda path: path.name)
def test_the_schema_knows_every_value_that_the_readme_tells(chart: Path) -> None:
    schema = json.loads((chart / "values.schema.json").read_text())
    for value in readme.values_of((chart / "values.yaml").read_text()):
        found = _in_schema(schema, schema, value.path.split("."))
        assert found or value.path.split(".")[0] == "postgres", value.path


def _in_schema(root: Object, node: Object, path: list[str]) -> bool:
    """Whether a schema has this path, through references and alternatives; one without fields takes anything."""
    if "$ref" in node:
        node = {**_at(root, node["$ref"]), **{name: value for name, value in node.items() if name != "$ref"}}
    if not path or (node.get("type") == "object" and "properties" not in node and "allOf" not in node):
        return True
    below = [node["properties"][path[0]]] if path[0] in node.get("properties", {}) else []
    if not below and isinstance(node.get("additionalProperties"), dict):
        below = [node["additionalProperties"]]
    alternatives = [part for group in ("allOf", "anyOf", "oneOf") for part in node.get(group, [])]
    return any(_in_schema(root, part, path[1:]) for part in below) or any(
        _in_schema(root, part, path) for part in alternatives
    )


def _at(root: Object, reference: str) -> Object:
    node: Object = root
    for name in reference.removeprefix("#/").split("/"):
        node = node[name]
    return node


# Values of a subchart are checked by its own schema.
OPEN = {"$.properties.postgres"}


def _objects_with_fields(schema: Object, path: str) -> list[str]:
    found = []
    if schema.get("type") == "object" and "properties" in schema and schema.get("additionalProperties") is not False:
        found.append(path)
    for group in ("properties", "$defs"):
        for name, nested in schema.get(group, {}).items():
            found += _objects_with_fields(nested, f"{path}.{group}.{name}")
    return found + (_objects_with_fields(schema["items"], f"{path}[]") if "items" in schema else [])


@pytest.mark.parametrize(
    ("chart", "values", "named"),
    [
        ("shop", {"isolation": "database"}, "/isolation"),
        ("shop", {"services": {"orders": {"replica": 3}}}, "replica"),
        ("shop", {"services": {"orders": {"nodePort": 8080}}}, "/services/orders/nodePort"),
        ("shop", {"services": {"warehouse": {}}}, "warehouse"),
        ("shop", {"postgres": {"enabled": True}}, "/postgres/enabled"),
        ("kompensa", {"engine": {"replicas": "two"}}, "/engine/replicas"),
        ("kompensa", {"connect": {"credentials": "Plain"}}, "/connect/credentials"),
        ("kompensa", {"kafka": {"bootstrap": "kafka"}}, "/kafka/bootstrap"),
        ("kompensa", {"replicas": {"tolerations": [{"tolerationSecond": 30}]}}, "tolerationSecond"),
        ("kompensa", {"postgres": {"setings": {}}}, "setings"),
        ("backbone", {"kafka": {"javaOptions": ["Xmx1g"]}}, "/kafka/javaOptions/0"),
        ("postgres", {"databases": [{"database": 'x"; DROP'}]}, "/databases/0/database"),
        ("postgres", {"databases": [{"database": "crm", "existing": True}]}, "secret"),
        ("postgres", {"image": {"digest": "latest"}}, "/image/digest"),
        ("postgres", {"resources": {"limits": {"memory": "lots"}}}, "/resources/limits/memory"),
        ("kompensa", {"engine": {"resources": {"requests": {"cpu": -1}}}}, "/engine/resources/requests/cpu"),
        ("backbone", {"kafka": {"resources": {"limits": {"memory": "512MB"}}}}, "/kafka/resources/limits/memory"),
        ("shop", {"sharedDatabase": {"resources": {"requests": {"cpu": "-1"}}}}, "/resources/requests/cpu"),
        ("shop", {"services": {"orders": {"resources": {"requests": {"cpu": True}}}}}, "/resources/requests/cpu"),
    ],
)
def test_a_wrong_value_is_refused_by_name(helm: Helm, chart: str, values: Object, named: str) -> None:
    with pytest.raises(RefusedError, match=named):
        helm.render(chart, values)


@pytest.mark.parametrize(
    ("chart", "values", "advice"),
    [
        ("kompensa", {"postgres": {"enabled": False}}, "journal.existingSecret.name is needed"),
        ("backbone", {"kafka": {"enabled": False}}, "kafka.bootstrap is needed"),
    ],
)
def test_a_value_that_another_needs_is_asked_for(helm: Helm, chart: str, values: Object, advice: str) -> None:
    with pytest.raises(RefusedError, match=advice):
        helm.render(chart, values)


@pytest.mark.parametrize("quantity", ["500m", "1", 1, 0.5, "1.5Gi", "128Mi", "2G", "1e9", 536870912])
def test_every_form_of_a_quantity_is_taken(helm: Helm, quantity: object) -> None:
    resources = {"requests": {"cpu": "10m", "memory": quantity}, "limits": {"memory": quantity}}
    assert helm.render("postgres", {"resources": resources})


def test_a_limit_can_be_taken_away(helm: Helm) -> None:
    unbounded = {"resources": {"limits": {"memory": None}}}
    shop = helm.render("shop", {"services": {"orders": {**unbounded, "database": {"instance": unbounded}}}})
    for pod in (shop.pod("Deployment", "orders"), shop.pod("StatefulSet", "orders-postgres")):
        assert not pod.spec["containers"][0]["resources"]["limits"].get("memory"), pod.name


OWN_INSTANCE = {"storage": {"size": "10Gi"}}
CAPTURE = {"existingCaptureSecret": {"name": "our-capture"}}
ELSEWHERE = {"bundled": False, "existingSecret": {"name": "our"}, **CAPTURE}


@pytest.mark.parametrize(
    ("chart", "values", "advice"),
    [
        (
            "kompensa",
            {"journal": {"existingSecret": {"name": "our-journal"}}},
            "set postgres.enabled to false to use yours",
        ),
        ("backbone", {"kafka": {"bootstrap": "kafka.crm:9092"}}, "set kafka.enabled to false to use yours"),
        (
            "shop",
            {"services": {"shipping": {"database": {**ELSEWHERE, "instance": OWN_INSTANCE}}}},
            "services.shipping.database.instance is set, but services.shipping.database.bundled is false",
        ),
        (
            "shop",
            {"isolation": "schema", "services": {"shipping": {"database": {"instance": OWN_INSTANCE}}}},
            "set its fields in sharedDatabase",
        ),
        (
            "shop",
            {"services": {"shipping": {"database": {"bundled": False, **CAPTURE}}}},
            "services.shipping.database.existingSecret.name is needed",
        ),
        (
            "postgres",
            {"databases": [{"database": "crm", "owner": "app"}, {"database": "billing", "owner": "app"}]},
            "crm and billing have the same owner, app",
        ),
        (
            "postgres",
            {"databases": [{"database": "crm"}, {"database": "all", "owner": "crm", "schema": "crm"}]},
            "crm and all.crm have the same owner, crm",
        ),
        ("shop", {"services": {"orders": {"pool": {"min": 20}}}}, "services.orders.pool: min is 20, but max is 10"),
    ],
)
def test_values_that_exclude_each_other_are_refused(helm: Helm, chart: str, values: Object, advice: str) -> None:
    with pytest.raises(RefusedError, match=advice):
        helm.render(chart, values)


@pytest.mark.parametrize(("chart", "values"), MATRIX)
def test_every_object_says_whose_it_is(helm: Helm, chart: str, values: dict[str, Any]) -> None:
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    for item in helm.render(chart, values).objects:
        labels = item["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == chart
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert ("namespace" in item["metadata"]) is (item["kind"] not in cluster_wide), item["metadata"]["name"]


@pytest.mark.parametrize(("chart", "values"), MATRIX)
def test_no_two_objects_have_one_name(helm: Helm, chart: str, values: dict[str, Any]) -> None:
    rendering = helm.render(chart, values)
    places = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in rendering.objects]
    assert len(places) == len(set(places))


def test_the_demos_node_ports_are_those_that_the_cluster_publishes(helm: Helm) -> None:
    published = {
        mapping["containerPort"]
        for node in yaml.safe_load(KIND_CLUSTER.read_text())["nodes"]
        for mapping in node["extraPortMappings"]
    }
    used = set()
    for chart in ("kompensa", "backbone", "shop"):
        demo = yaml.safe_load((CHARTS / chart / "values-demo.yaml").read_text())
        services = helm.render(chart, demo).of("Service")
        used |= {port["nodePort"] for service in services for port in service["spec"]["ports"] if "nodePort" in port}
    assert used == published
