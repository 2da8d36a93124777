"""Settings reach configuration files and pods as they were written: numbers, too, which Helm reads as floats."""

import pytest

from charts.tests.rendering import Helm

SETTINGS = {"a.size": 104857600, "a.ratio": 0.75, "a.switch": True, "a.text": "1e3"}
WRITTEN = {"a.size=104857600", "a.ratio=0.75", "a.switch=true", "a.text=1e3"}


@pytest.mark.parametrize(("process", "file"), [("kafka", "server.properties"), ("connect", "worker.properties")])
def test_kafka_and_connect_get_every_digit(helm: Helm, process: str, file: str) -> None:
    backbone = helm.render("backbone", {process: {"settings": SETTINGS}})
    assert {*backbone.one("ConfigMap", f"backbone-{process}")["data"][file].splitlines()} >= WRITTEN


def test_postgresql_gets_every_digit(helm: Helm) -> None:
    postgres = helm.render("postgres", {"settings": {"extra": {"vacuum_failsafe_age": 1600000000}}})
    lines = postgres.one("ConfigMap", "postgres")["data"]["postgresql.conf"].splitlines()
    assert "vacuum_failsafe_age = '1600000000'" in lines


@pytest.mark.parametrize("chart", ["kompensa", "backbone", "postgres", "shop"])
def test_a_user_id_has_every_digit(helm: Helm, chart: str) -> None:
    """Platforms give ids of ten digits to a namespace. YAML reads 1.00065e+09 as a float, which no id may be."""
    rendering = helm.render(
        chart,
        {"runAsUser": 1000650000, "postgres": {"runAsUser": 1000650000}}
        if chart == "kompensa"
        else {"runAsUser": 1000650000},
    )
    for pod in rendering.pods():
        security = pod.spec["securityContext"]
        ids = [security[field] for field in ("runAsUser", "runAsGroup", "fsGroup")]
        assert [repr(number) for number in ids] == ["1000650000"] * 3, pod.name
