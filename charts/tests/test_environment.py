"""The environment that the charts give to each process, read by the code that reads it there."""

import re

import msgspec
import pytest

from charts.tests.rendering import CHARTS, Helm, Pod
from kompensa.cluster.worker_site import WorkerPod
from kompensa.engine.settings import Settings as EngineSettings
from kompensa.handlers.settings import OperatorSettings
from kompensa_participant.settings import from_environment

REFERENCE = (CHARTS.parent / "docs/reference/environment.md").read_text()
SECRET_VALUES = {
    "url": "postgresql://user:password@host:5432/database",
    "token": "a-token",
    "username": "orders_capture",
}


def environment(pod: Pod) -> dict[str, str]:
    """The pod's variables, with fitting values in place of those from Secrets and from the pod itself."""
    values = {}
    for name, entry in pod.environment().items():
        source = entry.get("valueFrom", {})
        key = source.get("secretKeyRef", {}).get("key")
        values[name] = SECRET_VALUES[key] if key else entry.get("value", "from-the-pod")
    return values


def test_the_engine_understands_its_environment(helm: Helm) -> None:
    pod = helm.render("kompensa", {"engine": {"maxInFlight": 500, "retention": "2d"}}).pod(
        "Deployment", "kompensa-engine"
    )
    settings = EngineSettings.read(environment(pod))
    assert settings.journal_url == SECRET_VALUES["url"]
    assert (settings.api_host, settings.api_port, settings.api_token) == ("", 8080, "a-token")
    assert (settings.status, settings.max_in_flight, settings.retention) == ("kubernetes", 500, 2 * 86_400)


def test_the_engine_drains_within_its_grace_period(helm: Helm) -> None:
    spec = helm.render("kompensa").pod("Deployment", "kompensa-engine").spec
    settings = EngineSettings.read({"KOMPENSA_JOURNAL_URL": SECRET_VALUES["url"]})
    pause = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause + settings.drain < spec["terminationGracePeriodSeconds"]


def test_the_operator_understands_its_environment(helm: Helm) -> None:
    pod = helm.render("kompensa", {"watchNamespaces": ["shop", "crm"]}).pod("Deployment", "kompensa-operator")
    settings = OperatorSettings.from_environment(environment(pod))
    assert settings.engine_url == "http://kompensa-api.kompensa-system.svc:8080"
    assert settings.namespaces == ("shop", "crm")
    assert settings.capture_secret == "kompensa-capture-credentials"
    assert settings.connect_namespace == settings.lease_namespace == "kompensa-system"
    assert settings.lease_name == "kompensa-operator"
    assert settings.replica_image == pod.containers[0]["image"]
    assert settings.probe_port == pod.containers[0]["ports"][0]["containerPort"]


def test_replica_workers_get_what_the_chart_gives_to_pods(helm: Helm) -> None:
    replicas = {
        "resources": {"requests": {"cpu": 1, "memory": 268435456}, "limits": {"memory": "1Gi"}},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "data", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}],
    }
    pulling = {"image": {"pullPolicy": "Always"}, "imagePullSecrets": [{"name": "registry"}]}
    pod = helm.render("kompensa", pulling | {"replicas": replicas}).pod("Deployment", "kompensa-operator")
    told = msgspec.to_builtins(OperatorSettings.from_environment(environment(pod)).replica_pod)
    assert told == {"imagePullPolicy": "Always", "imagePullSecrets": [{"name": "registry"}], **replicas}


def test_workers_have_the_same_defaults_with_and_without_the_chart(helm: Helm) -> None:
    pod = helm.render("kompensa").pod("Deployment", "kompensa-operator")
    assert OperatorSettings.from_environment(environment(pod)).replica_pod == WorkerPod()


def test_a_service_understands_its_environment(helm: Helm) -> None:
    values = {"services": {"orders": {"pool": {"min": 2, "max": 7}}}, "faults": {"enabled": True}}
    settings = from_environment(environment(helm.render("shop", values).pod("Deployment", "orders")))
    assert (settings.pool_min, settings.pool_max, settings.faults_enabled) == (2, 7, True)
    assert (settings.host, settings.port, settings.capture_role) == ("", 8080, "orders_capture")


@pytest.mark.parametrize(
    ("chart", "deployment", "heading"),
    [
        ("kompensa", "kompensa-engine", "Engine"),
        ("kompensa", "kompensa-operator", "Operator"),
        ("shop", "orders", "A service with the kit"),
    ],
)
def test_every_variable_is_in_the_reference(helm: Helm, chart: str, deployment: str, heading: str) -> None:
    """A misspelt name would have no effect. Tests compare the reference with the code that reads the variables."""
    section = REFERENCE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE))
    assert helm.render(chart).pod("Deployment", deployment).environment().keys() <= documented


def test_a_journals_secret_without_a_url_serves_with_its_parts(helm: Helm) -> None:
    """The driver reads libpq's own variables, if the URL is empty."""
    keys = {"url": "", "database": "dbname", "username": "user"}
    own = {"journal": {"existingSecret": {"name": "our-journal", "keys": keys}}, "postgres": {"enabled": False}}
    pod = helm.render("kompensa", own).pod("Deployment", "kompensa-engine")
    variables = pod.environment()
    parts = {"PGHOST": "host", "PGPORT": "port", "PGDATABASE": "dbname", "PGUSER": "user", "PGPASSWORD": "password"}
    references = {name: variables[name]["valueFrom"]["secretKeyRef"] for name in parts}
    assert references == {name: {"name": "our-journal", "key": key} for name, key in parts.items()}
    url = variables["KOMPENSA_JOURNAL_URL"]["value"]
    assert EngineSettings.read({"KOMPENSA_JOURNAL_URL": url}).journal_url == "postgresql://"
