"""The rights of operator and engine: the rules that the operator's own tests run with, and never a wildcard."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.tests.rendering import MATRIX, Helm, Object, Rendering

TESTED_RIGHTS = Path(__file__).parents[2] / "tests/integration/rights.yaml"
DELETION_RIGHTS = TESTED_RIGHTS.with_name("deletion_rights.yaml")
Right = tuple[str, str, str, str]


def rights(rules: list[Object]) -> set[Right]:
    """Each right on its own: group, resource, name (empty for any), verb."""
    return {
        (group, resource, name, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize(("chart", "values"), MATRIX)
def test_no_rule_has_a_wildcard_and_nobody_is_cluster_admin(helm: Helm, chart: str, values: dict[str, Any]) -> None:
    rendering = helm.render(chart, values)
    for role in rendering.of("Role", "ClusterRole"):
        for rule in role["rules"]:
            assert not {"*"} & {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}, role["metadata"]["name"]
            assert "nonResourceURLs" not in rule
    for binding in rendering.of("RoleBinding", "ClusterRoleBinding"):
        assert rendering.has(binding["roleRef"]["kind"], binding["roleRef"]["name"])


@pytest.mark.parametrize("process", ["operator", "engine"])
def test_the_rights_are_those_that_the_processes_are_tested_with(helm: Helm, process: str) -> None:
    tested = {
        role["metadata"]["name"]: role
        for role in yaml.safe_load_all(TESTED_RIGHTS.read_text())
        if role["kind"] == "ClusterRole"
    }
    name = f"kompensa-{process}"
    assert rights(helm.render("kompensa").one("ClusterRole", name)["rules"]) == rights(tested[name]["rules"])


def test_secrets_are_read_by_name_and_never_listed(helm: Helm) -> None:
    for chart in ("kompensa", "backbone"):
        for role in helm.render(chart).of("Role", "ClusterRole"):
            verbs = {verb for group, resource, _, verb in rights(role["rules"]) if (group, resource) == ("", "secrets")}
            assert verbs <= {"get", "patch"}, role["metadata"]["name"]


def test_secrets_can_be_narrowed_to_names(helm: Helm) -> None:
    rules = helm.render("kompensa", {"rbac": {"secretNames": ["orders-postgres"]}}).one(
        "ClusterRole", "kompensa-operator"
    )["rules"]
    assert [r for r in rights(rules) if r[1] == "secrets"] == [("", "secrets", "orders-postgres", "get")]


def test_named_namespaces_turn_cluster_rights_into_rights_there(helm: Helm) -> None:
    everywhere = helm.render("kompensa")
    narrow = helm.render("kompensa", {"watchNamespaces": ["shop", "crm"]})
    for process in ("kompensa-operator", "kompensa-engine"):
        rules = everywhere.one("ClusterRole", process)["rules"]
        granted = {role["metadata"]["namespace"]: role["rules"] for role in _named(narrow, "Role", process)}
        assert granted == {"shop": rules, "crm": rules}
        bound = {binding["metadata"]["namespace"] for binding in _named(narrow, "RoleBinding", process)}
        assert bound == {"shop", "crm"}
    watched = narrow.pod("Deployment", "kompensa-operator").environment()["KOMPENSA_WATCH_NAMESPACES"]
    assert watched["value"] == "shop,crm"


@pytest.mark.parametrize("process", ["operator", "engine"])
def test_few_rights_outlive_a_watched_namespace(helm: Helm, process: str) -> None:
    tested = {role["metadata"]["name"]: role for role in yaml.safe_load_all(DELETION_RIGHTS.read_text())}
    narrow = helm.render("kompensa", {"watchNamespaces": ["shop"]})
    name = f"kompensa-system-kompensa-{process}-namespace-deletion"
    granted = rights(narrow.one("ClusterRole", name)["rules"])
    assert granted == rights(tested[f"kompensa-{process}-namespace-deletion"]["rules"])
    assert not {right for right in granted if right[3] in ("create", "delete") or right[1] == "secrets"}
    without = {"watchNamespaces": ["shop"], "rbac": {"namespaceDeletion": False}}
    assert not helm.render("kompensa", without).of("ClusterRoleBinding")


@pytest.mark.parametrize("release", ["kompensa", "sagas"])
def test_each_release_contends_for_a_lease_of_its_own(helm: Helm, release: str) -> None:
    kompensa = helm.render("kompensa", name=release)
    (deployment,) = [item for item in kompensa.of("Deployment") if item["metadata"]["name"].endswith("-operator")]
    name = deployment["metadata"]["name"]
    lease = kompensa.pod("Deployment", name).environment()["KOMPENSA_LEASE_NAME"]["value"]
    assert lease == name == ("kompensa-operator" if release == "kompensa" else "sagas-kompensa-operator")
    granted = rights(kompensa.one("Role", f"{name}-lease")["rules"])
    assert ("coordination.k8s.io", "leases", lease, "update") in granted


def test_a_further_release_has_nothing_that_is_cluster_wide(helm: Helm) -> None:
    """Its names could be those of the first, and Helm gives an object to one release only."""
    rbac = {"aggregate": False, "namespaceDeletion": False}
    further = {"crds": {"enabled": False}, "rbac": rbac, "watchNamespaces": ["crm"]}
    assert all("namespace" in item["metadata"] for item in helm.render("kompensa", further, namespace="team-b").objects)


def test_the_operator_may_write_one_secret_beside_connect(helm: Helm) -> None:
    backbone = helm.render("backbone")
    role = backbone.one("Role", "kompensa-capture-credentials")
    assert rights(role["rules"]) == {
        ("", "secrets", "kompensa-capture-credentials", "get"),
        ("", "secrets", "kompensa-capture-credentials", "patch"),
        ("", "pods", "", "list"),
        ("", "pods", "", "patch"),
    }
    subjects = backbone.one("RoleBinding", "kompensa-capture-credentials")["subjects"]
    operator = helm.render("kompensa").pod("Deployment", "kompensa-operator")
    assert subjects == [
        {"kind": "ServiceAccount", "name": operator.spec["serviceAccountName"], "namespace": "kompensa-system"}
    ]


def test_roles_of_a_namespace_include_our_kinds_but_not_their_status(helm: Helm) -> None:
    edit = helm.render("kompensa").one("ClusterRole", "kompensa-edit")
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert not [right for right in rights(edit["rules"]) if "status" in right[1]]
    assert not helm.render("kompensa", {"rbac": {"aggregate": False}}).has("ClusterRole", "kompensa-edit")


def _named(rendering: Rendering, kind: str, name: str) -> list[Object]:
    return [item for item in rendering.of(kind) if item["metadata"]["name"] == name]
