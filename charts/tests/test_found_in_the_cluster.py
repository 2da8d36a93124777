"""Installs that fail because of what Helm finds in the cluster. Plain `helm template` does not look into one."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from charts.tests.cluster import namespace, present, serving
from charts.tests.rendering import INSTALLED, Helm, Object, RefusedError
from tests.support.services import SERVICES


def install(helm: Helm, folder: Path, chart: str, values: Object, objects: Sequence[Object]) -> None:
    with serving(objects, folder) as kubeconfig:
        helm.render_on(kubeconfig, chart, values)


@pytest.mark.parametrize("chart", INSTALLED)
def test_an_empty_cluster_is_fit_for_every_chart(helm: Helm, tmp_path: Path, chart: str) -> None:
    install(helm, tmp_path, chart, {}, [])
    install(helm, tmp_path, chart, {}, [namespace(INSTALLED[chart])])


def database(**values: object) -> Object:
    """Values of the shop's orders with a database elsewhere."""
    own = {"existingSecret": {"name": "there"}, "existingCaptureSecret": {"name": "there"}}
    return {"services": {"orders": {"database": {"bundled": False, **own, **values}}}}


OUR = {"existingSecret": {"name": "our"}}
NAMED_SECRETS: list[tuple[str, Object, str]] = [
    ("kompensa", {"api": OUR}, "api.existingSecret.name"),
    ("kompensa", {"postgres": {"enabled": False}, "journal": OUR}, "journal.existingSecret.name"),
    ("kompensa", {"postgres": {"superuser": OUR}}, "superuser.existingSecret.name"),
    (
        "postgres",
        {"databases": [{"database": "crm", "secret": "our", "existing": True}]},
        "databases: the login of role crm",
    ),
    ("shop", database(**OUR), "services.orders.database.existingSecret.name"),
    ("shop", {"services": {"invoices": {"database": OUR}}}, "services.invoices.database.existingSecret.name"),
    ("shop", database(existingCaptureSecret={"name": "our"}), "services.orders.database.existingCaptureSecret.name"),
]


@pytest.mark.parametrize(("chart", "values", "value"), NAMED_SECRETS)
def test_a_secret_that_is_not_there_is_named(
    helm: Helm, tmp_path: Path, chart: str, values: Object, value: str
) -> None:
    place = INSTALLED[chart]
    here = [namespace(place), present("Secret", "there", place), present("Secret", "our", "elsewhere")]
    with pytest.raises(
        RefusedError, match=f"{value} names Secret our, which does not exist in namespace {place}: create it"
    ):
        install(helm, tmp_path, chart, values, here)
    install(helm, tmp_path, chart, values, [*here, present("Secret", "our", place)])


@pytest.mark.parametrize(("chart", "values", "value"), NAMED_SECRETS)
def test_secrets_may_be_created_after_the_rendering(
    helm: Helm, tmp_path: Path, chart: str, values: Object, value: str
) -> None:
    install(helm, tmp_path, chart, values, [namespace("default")])
    helm.render(chart, values)


def claims(*servers: str) -> list[Object]:
    return [namespace("shop"), *(present("PersistentVolumeClaim", f"{name}-postgres-data", "shop") for name in servers)]


@pytest.mark.parametrize(
    ("isolation", "before", "there"), [("schema", "instance", SERVICES), ("instance", "schema", ("shop",))]
)
def test_a_change_of_isolation_does_not_start_with_empty_databases(
    helm: Helm, tmp_path: Path, isolation: str, before: str, there: Sequence[str]
) -> None:
    with pytest.raises(RefusedError, match=f"isolation is {isolation}, but .* set isolation to {before} to keep them"):
        install(helm, tmp_path, "shop", {"isolation": isolation}, claims(*there))
    install(helm, tmp_path, "shop", {"isolation": before}, claims(*there))


@pytest.mark.parametrize("isolation", ["schema", "instance"])
def test_old_volumes_do_not_matter_once_there_are_new_ones(helm: Helm, tmp_path: Path, isolation: str) -> None:
    install(helm, tmp_path, "shop", {"isolation": isolation}, claims("shop", *SERVICES))
