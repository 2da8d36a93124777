"""Everything that the charts render, judged by a real API server: known fields, right types, valid names and rules.

A dry run stores nothing. It validates built-in kinds against their OpenAPI schemas, and ours against their definitions.
"""

from pathlib import Path

import pytest

from charts.tests.extremes import CASE_IDS, CASES, LONGEST_NAMESPACE, LONGEST_RELEASE, umbrella
from charts.tests.program import found
from charts.tests.rendering import INSTALLED, Helm, Object
from kompensa_dev.run import Run
from tests.integration.apiserver import ApiServer

pytestmark = pytest.mark.integration

NAMESPACES = {*INSTALLED.values(), LONGEST_NAMESPACE, "whole", "crm"}


@pytest.fixture(scope="module")
def helm(run: Run) -> Helm:
    return found(run.logs / "helm.log")


@pytest.fixture(scope="module")
def judge(apiserver: ApiServer) -> ApiServer:
    """The API server with all namespaces that the cases name."""
    known = {item["metadata"]["name"] for item in apiserver.get("namespaces")["items"]}
    for name in sorted(NAMESPACES - known):
        apiserver.kubectl("create", "namespace", name)
    return apiserver


def accept(judge: ApiServer, text: str) -> None:
    """Fails with the API server's words for every object that it rejects."""
    answer = judge.kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
        stdin=text,
        check=False,
    )
    rejected = [line for line in answer.splitlines() if not line.endswith("serverside-applied (server dry run)")]
    assert not rejected


@pytest.mark.parametrize(("chart", "case", "values"), CASES, ids=CASE_IDS)
def test_every_rendered_object_is_valid(helm: Helm, judge: ApiServer, chart: str, case: str, values: Object) -> None:
    accept(judge, helm.render(chart, values).text)


@pytest.mark.parametrize(("chart", "case", "values"), CASES, ids=CASE_IDS)
def test_the_longest_names_are_valid(helm: Helm, judge: ApiServer, chart: str, case: str, values: Object) -> None:
    accept(judge, helm.render(chart, values, namespace=LONGEST_NAMESPACE, name=LONGEST_RELEASE).text)


def test_an_umbrella_chart_is_valid(helm: Helm, judge: ApiServer, tmp_path: Path) -> None:
    accept(judge, helm.run("template", "whole", str(umbrella(tmp_path)), "--namespace", "whole"))


def test_an_unknown_field_is_found(helm: Helm, judge: ApiServer) -> None:
    """The check that the other tests rely on."""
    text = helm.render("postgres").text.replace("targetPort: postgres", "targetPorts: postgres", 1)
    with pytest.raises(AssertionError, match="targetPorts"):
        accept(judge, text)
