"""Our charts as subcharts of one umbrella chart, with aliases and globals."""

import pytest

from charts.tests.extremes import umbrella
from charts.tests.network import Party, may_talk
from charts.tests.rendering import Helm, Rendering

NAMESPACE = "whole"


@pytest.fixture(scope="module")
def whole(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Rendering:
    chart = umbrella(tmp_path_factory.mktemp("umbrella"))
    return Rendering(helm.run("template", NAMESPACE, str(chart), "--namespace", NAMESPACE))


def party(whole: Rendering, kind: str, name: str) -> Party:
    return Party.of(whole.pod(kind, name))


def test_no_two_objects_have_one_name(whole: Rendering) -> None:
    places = [(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]) for item in whole.objects]
    assert len(places) == len(set(places))


def test_every_selector_selects_its_own_pods_only(whole: Rendering) -> None:
    for owner in whole.of("Deployment", "StatefulSet"):
        selector = owner["spec"]["selector"]["matchLabels"].items()
        names = [pod.name for pod in whole.pods() if selector <= pod.labels.items()]
        assert names == [f"{owner['kind']}/{owner['metadata']['name']}"]


def test_globals_reach_every_pod(whole: Rendering) -> None:
    for pod in whole.pods():
        assert pod.spec["imagePullSecrets"] == [{"name": "registry-login"}], pod.name
        for container in pod.containers:
            assert container["image"].startswith("registry.example:5000/kompensa/"), pod.name
    worker = whole.pod("Deployment", "whole-sagas-operator").environment()["KOMPENSA_REPLICA_POD"]["value"]
    assert "registry-login" in worker


def test_policies_let_aliased_charts_reach_each_other(whole: Rendering) -> None:
    operator = party(whole, "Deployment", "whole-sagas-operator")
    engine = party(whole, "Deployment", "whole-sagas-engine")
    connect = party(whole, "Deployment", "whole-events-connect")
    orders = party(whole, "StatefulSet", "orders-postgres")
    assert may_talk(operator, engine, 8080, whole)
    assert may_talk(operator, connect, 8083, whole)
    assert may_talk(connect, party(whole, "StatefulSet", "whole-events-kafka"), 9092, whole)
    assert may_talk(engine, party(whole, "StatefulSet", "journal"), 5432, whole)
    for captor in (operator, connect):
        assert may_talk(captor, orders, 5432, whole)
    assert not may_talk(engine, orders, 5432, whole)


def test_a_registry_of_an_image_comes_before_the_global_one(helm: Helm) -> None:
    values = {"global": {"imageRegistry": "global.example"}, "image": {"registry": "own.example"}}
    pod = helm.render("kompensa", values).pod("Deployment", "kompensa-engine")
    assert pod.containers[0]["image"].startswith("own.example/")
