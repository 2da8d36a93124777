"""The values that Helm is given: the images that were just built, and the values that were asked for by chart."""

from __future__ import annotations

import json

import pytest

from images.cluster import release
from images.cluster.kind import KindCluster
from images.setup import recipes
from images.setup.cache import Cache
from images.setup.engine import Engine
from images.setup.errors import SetupError
from images.setup.shop import SERVICES
from images.setup.stages import Report
from images.tests.tools import Tools

IMAGES = {name: f"localhost:5000/kompensa/{name}:0f{n}" for n, name in enumerate(recipes.DEPLOYED)}


def test_settings_are_parted_by_chart_and_kept_in_order() -> None:
    chosen = release.by_chart(
        ["shop.isolation=schema", "kompensa.engine.replicas=2", "shop.services.orders.extraEnv[0].value=a=b.c"]
    )
    assert chosen == {
        "backbone": [],
        "kompensa": ["engine.replicas=2"],
        "shop": ["isolation=schema", "services.orders.extraEnv[0].value=a=b.c"],
    }


@pytest.mark.parametrize("setting", ["isolation=schema", "shops.isolation=schema", "shop.isolation", "shop", "=", ""])
def test_a_setting_of_another_form_is_refused_by_name(setting: str) -> None:
    with pytest.raises(SetupError) as told:
        release.by_chart([setting])
    assert str(told.value) == (f"--set {setting}: expected CHART.PATH=VALUE with a chart of backbone, kompensa, shop")


def test_every_image_that_runs_in_pods_is_placed_in_some_chart() -> None:
    placed = {name for each in release.RELEASES for name in each.images.values()}
    assert placed == set(recipes.DEPLOYED)


def test_images_are_taken_apart_as_the_charts_want_them() -> None:
    shop = next(each for each in release.RELEASES if each.chart == "shop")
    values = json.loads(json.dumps(release.image_values(shop, IMAGES)))
    assert values["services"]["orders"]["image"] == {
        "registry": "localhost:5000",
        "repository": "kompensa/orders",
        "tag": IMAGES["orders"].rpartition(":")[2],
        "pullPolicy": "IfNotPresent",
    }
    assert set(values["services"]) == set(SERVICES)


def test_each_release_is_upgraded_in_order_with_its_values(cache: Cache, tools: Tools, report: Report) -> None:
    for name in ("helm", "kubectl"):
        tools.add(name, folder=cache.bin)
    chosen = release.by_chart(["shop.isolation=schema"])
    release.install(KindCluster(Engine("docker"), cache), IMAGES, chosen, report)
    calls = tools.calls("helm")
    assert [call.partition("--install ")[2].split()[0] for call in calls] == ["backbone", "kompensa", "shop"]
    assert all("--wait" in call and "values-demo.yaml" in call for call in calls)
    assert tools.calls()[0].startswith("kubectl")
    assert "namespaces.yaml" in tools.calls()[0]
    assert [call.endswith("--set isolation=schema") for call in calls] == [False, False, True]
