"""Every pod that any chart makes: restricted, bounded, probed, and without credentials in plain sight."""

from collections.abc import Callable
from typing import Any

import pytest

from charts.tests.rendering import MATRIX, Helm, Pod, RefusedError, Rendering

TOKEN_USERS = {"Deployment/kompensa-operator", "Deployment/kompensa-engine"}
SECRET_WORDS = ("PASSWORD", "TOKEN", "DATABASE_URL", "JOURNAL_URL")


@pytest.fixture(params=MATRIX, ids=lambda case: f"{case[0]}-{'default' if not case[1] else 'variant'}")
def pods(request: pytest.FixtureRequest, helm: Helm) -> list[Pod]:
    chart, values = request.param
    found = list(helm.render(chart, values).pods())
    assert found
    return found


def test_pods_meet_the_restricted_standard(pods: list[Pod]) -> None:
    for pod in pods:
        security = pod.spec["securityContext"]
        assert security["runAsNonRoot"] is True, pod.name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, pod.name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys(), pod.name
        assert not [v for v in pod.spec.get("volumes", []) if "hostPath" in v], pod.name
        for container in pod.containers:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, pod.name
            assert own["readOnlyRootFilesystem"] is True, pod.name
            assert own["capabilities"] == {"drop": ["ALL"]}, pod.name


def test_only_those_who_call_the_api_server_have_a_token(pods: list[Pod]) -> None:
    for pod in pods:
        assert pod.spec["automountServiceAccountToken"] is (pod.name in TOKEN_USERS), pod.name


def test_every_container_asks_for_what_it_needs_and_is_bounded_in_memory(pods: list[Pod]) -> None:
    for pod in pods:
        for container in pod.containers:
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), (pod.name, container["name"])
            assert "memory" in resources["limits"], (pod.name, container["name"])


def test_every_serving_container_has_all_three_probes(pods: list[Pod]) -> None:
    for pod in pods:
        if pod.serving:
            for container in pod.spec["containers"]:
                assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(), pod.name


def test_what_is_written_goes_to_a_mounted_folder(pods: list[Pod]) -> None:
    for pod in pods:
        mounted = {mount["name"] for container in pod.containers for mount in container.get("volumeMounts", [])}
        assert mounted == {volume["name"] for volume in pod.spec.get("volumes", [])}, pod.name


def test_no_credential_is_written_out(pods: list[Pod]) -> None:
    for pod in pods:
        for name, entry in pod.environment().items():
            if any(word in name for word in SECRET_WORDS) and not name.endswith(("_FILE", "_DIR")):
                assert "secretKeyRef" in entry["valueFrom"], (pod.name, name)


def test_jobs_end(pods: list[Pod]) -> None:
    for pod in pods:
        if not pod.serving:
            assert pod.owner["spec"]["activeDeadlineSeconds"] <= 600, pod.name


@pytest.mark.parametrize(("chart", "values"), MATRIX)
def test_every_serving_pod_has_a_disruption_budget_that_lets_one_go(
    helm: Helm, chart: str, values: dict[str, Any]
) -> None:
    rendering = helm.render(chart, values)
    budgets = rendering.of("PodDisruptionBudget")
    for pod in rendering.pods():
        if pod.serving:
            selecting = [b for b in budgets if b["spec"]["selector"]["matchLabels"].items() <= pod.labels.items()]
            assert [b["spec"]["maxUnavailable"] for b in selecting] == [1], pod.name


@pytest.mark.parametrize(("chart", "values"), MATRIX)
def test_selectors_select_their_own_pods_and_no_others(helm: Helm, chart: str, values: dict[str, Any]) -> None:
    rendering = helm.render(chart, values)
    for owner in rendering.of("Deployment", "StatefulSet"):
        selector = owner["spec"]["selector"]["matchLabels"].items()
        names = [pod.name for pod in rendering.pods() if selector <= pod.labels.items()]
        assert names == [f"{owner['kind']}/{owner['metadata']['name']}"]
    for service in rendering.of("Service"):
        selector = service["spec"]["selector"].items()
        chosen = [pod for pod in rendering.pods() if selector <= pod.labels.items()]
        assert len(chosen) == 1, service["metadata"]["name"]
        ports = {port["name"] for container in chosen[0].containers for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_a_user_id_can_be_left_to_the_platform(helm: Helm) -> None:
    for pod in helm.render("kompensa", {"runAsUser": None, "postgres": {"runAsUser": None}}).pods():
        assert "runAsUser" not in pod.spec["securityContext"], pod.name
        assert pod.spec["securityContext"]["runAsNonRoot"] is True


def test_images_can_come_from_a_registry_of_ones_own_by_digest(helm: Helm) -> None:
    image = {"registry": "registry.example:5000", "tag": "1.2.3", "digest": "sha256:" + "a" * 64}
    engine = helm.render("kompensa", {"image": image}).pod("Deployment", "kompensa-engine")
    assert engine.containers[0]["image"] == f"registry.example:5000/kompensa/kompensa:1.2.3@{image['digest']}"


def test_scheduling_values_reach_the_pod(helm: Helm) -> None:
    wishes = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "db", "operator": "Exists"}],
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
        "priorityClassName": "high",
    }
    spec = helm.render("kompensa", {"engine": wishes}).pod("Deployment", "kompensa-engine").spec
    assert {field: spec[field] for field in wishes} == wishes


def test_an_authority_of_ones_own_is_trusted_by_operator_and_engine(helm: Helm) -> None:
    for kind, field in (("configMap", "name"), ("secret", "secretName")):
        kompensa = helm.render("kompensa", {"caBundle": {kind: "our-authorities", "key": "root.pem"}})
        for process in ("engine", "operator"):
            pod = kompensa.pod("Deployment", f"kompensa-{process}")
            volume = next(volume[kind] for volume in pod.spec["volumes"] if volume["name"] == "ca")
            assert volume[field] == "our-authorities"
            assert volume["items"] == [{"key": "root.pem", "path": "ca.crt"}]
            mount = next(mount for mount in pod.containers[0]["volumeMounts"] if mount["name"] == "ca")
            variable = {"engine": "KOMPENSA_TLS_CA_FILE", "operator": "SSL_CERT_FILE"}[process]
            assert pod.environment()[variable]["value"] == f"{mount['mountPath']}/ca.crt"


def test_an_authority_comes_from_one_place(helm: Helm) -> None:
    with pytest.raises(RefusedError, match="caBundle names ConfigMap one and Secret two"):
        helm.render("kompensa", {"caBundle": {"configMap": "one", "secret": "two"}})


def test_files_of_ones_own_can_be_mounted(helm: Helm) -> None:
    volume = {"name": "database-ca", "secret": {"secretName": "our-ca"}}
    mount = {"name": "database-ca", "mountPath": "/etc/database", "readOnly": True}
    files = {"extraVolumes": [volume], "extraVolumeMounts": [mount]}
    kompensa = helm.render("kompensa", {"engine": files, "operator": files})
    shop = helm.render("shop", {"services": {"orders": files}})
    for pod in (*map(kompensa_pod(kompensa), ("engine", "operator")), shop.pod("Deployment", "orders")):
        assert volume in pod.spec["volumes"]
        assert all(mount in container["volumeMounts"] for container in pod.containers), pod.name


def kompensa_pod(kompensa: Rendering) -> Callable[[str], Pod]:
    return lambda process: kompensa.pod("Deployment", f"kompensa-{process}")


def test_labels_of_ones_own_are_added_and_replace_none_of_ours(helm: Helm) -> None:
    labels = {"cost-center": "a", "app.kubernetes.io/name": "theirs"}
    more = {"podLabels": {**labels, "team": "b"}, "podAnnotations": {"kompensa.dev/settings": "theirs"}}
    backbone = helm.render("backbone", {"commonLabels": labels, "kafka": more, "connect": more})
    for item in backbone.objects:
        found = item["metadata"]["labels"]
        assert (found["cost-center"], found["app.kubernetes.io/name"]) == ("a", "backbone")
    for pod in backbone.pods():
        assert (pod.labels["cost-center"], pod.labels["app.kubernetes.io/name"]) == ("a", "backbone")
        if pod.serving:
            assert pod.labels["team"] == "b"
            assert pod.owner["spec"]["template"]["metadata"]["annotations"]["kompensa.dev/settings"] != "theirs"
