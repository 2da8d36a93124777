"""Spans leave the pods if a receiver is named, and only then."""

from typing import Any

import pytest

from charts.tests.rendering import Helm, RefusedError
from kompensa.handlers.settings import OperatorSettings
from tests.support.services import SERVICES

ENDPOINT = "http://collector.observability.svc:4318"
PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}
PODS = [("kompensa", "kompensa-engine"), *(("shop", name) for name in SERVICES)]
POLICIES = [*PODS, ("shop", "replica-invoices-customers"), ("shop", "replica-shipping-customers")]
VALUES = {"tracing": {"endpoint": ENDPOINT}, "networkPolicy": {"tracing": {"ports": [4319], "to": [PEER]}}}


@pytest.mark.parametrize(("chart", "deployment"), [*PODS, ("kompensa", "kompensa-operator")])
def test_a_process_knows_the_receiver(helm: Helm, chart: str, deployment: str) -> None:
    environment = helm.render(chart, VALUES).pod("Deployment", deployment).environment()
    assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"]["value"] == ENDPOINT
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in helm.render(chart).pod("Deployment", deployment).environment()


@pytest.mark.parametrize(("chart", "policy"), POLICIES)
def test_the_way_to_the_receiver_is_open_if_there_is_one(helm: Helm, chart: str, policy: str) -> None:
    rule: dict[str, Any] = {"ports": [{"protocol": "TCP", "port": 4319}], "to": [PEER]}
    assert rule in helm.render(chart, VALUES).one("NetworkPolicy", policy)["spec"]["egress"]
    closed = helm.render(chart, {"networkPolicy": VALUES["networkPolicy"]}).one("NetworkPolicy", policy)
    assert rule not in closed["spec"]["egress"]


def test_the_operator_passes_the_receiver_on_to_workers() -> None:
    given = {"KOMPENSA_API_URL": "http://there", "OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}
    assert OperatorSettings.from_environment(given).tracing_endpoint == ENDPOINT


@pytest.mark.parametrize("chart", ["kompensa", "shop"])
@pytest.mark.parametrize("endpoint", ["collector:4318", "grpc://collector:4317"])
def test_a_receiver_that_is_not_a_url_is_rejected(helm: Helm, chart: str, endpoint: str) -> None:
    with pytest.raises(RefusedError, match="tracing"):
        helm.render(chart, {"tracing": {"endpoint": endpoint}})
