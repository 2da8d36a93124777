"""Every value at its extremes renders, lints and keeps the promises of our objects."""

import json

import pytest

from charts.tests.extremes import CASE_IDS, CASES, EXTREMES, LONGEST_NAMESPACE, LONGEST_RELEASE
from charts.tests.rendering import CHARTS, INSTALLED, Helm, Object


@pytest.mark.parametrize(("chart", "case", "values"), CASES, ids=CASE_IDS)
def test_helm_lints_every_case(helm: Helm, chart: str, case: str, values: Object) -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict", str(CHARTS / chart), values=json.dumps(values))


@pytest.mark.parametrize("chart", INSTALLED)
def test_pods_stay_restricted_whatever_the_values(helm: Helm, chart: str) -> None:
    rendering = helm.render(chart, EXTREMES[chart], namespace=LONGEST_NAMESPACE, name=LONGEST_RELEASE)
    for pod in rendering.pods():
        assert pod.spec["securityContext"]["runAsNonRoot"] is True
        assert all(container["securityContext"]["readOnlyRootFilesystem"] for container in pod.containers)
        assert not pod.spec["securityContext"].get("runAsUser")


@pytest.mark.parametrize("chart", ["kompensa", "shop"])
def test_nobody_runs_if_replicas_are_zero(helm: Helm, chart: str) -> None:
    rendering = helm.render(chart, EXTREMES[chart])
    assert {item["spec"]["replicas"] for item in rendering.of("Deployment")} == {0}
