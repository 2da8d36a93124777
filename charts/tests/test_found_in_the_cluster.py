"""What an install finds in the cluster and does not go on with. Plain `helm template` looks into none."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from charts.tests.cluster import namespace, present, serving
from charts.tests.rendering import INSTALLED, Helm, Object, RefusedError

RBAC = "rbac.authorization.k8s.io/v1"
OPERATOR = {"app.kubernetes.io/name": "kompensa", "app.kubernetes.io/component": "operator"}
SERVICES = ("orders", "inventory", "payments", "invoices", "shipping")


def install(helm: Helm, folder: Path, chart: str, values: Object, objects: Sequence[Object]) -> None:
    with serving(objects, folder) as kubeconfig:
        helm.render_on(kubeconfig, chart, values)


@pytest.mark.parametrize("chart", INSTALLED)
def test_an_empty_cluster_is_fit_for_every_chart(helm: Helm, tmp_path: Path, chart: str) -> None:
    install(helm, tmp_path, chart, {}, [])
    install(helm, tmp_path, chart, {}, [namespace(INSTALLED[chart])])


NAMED_SECRETS: list[tuple[str, Object, str]] = [
    ("kompensa", {"api": {"existingSecret": "our"}}, "api.existingSecret"),
    ("kompensa", {"postgres": {"enabled": False}, "journal": {"existingSecret": "our"}}, "journal.existingSecret"),
    ("kompensa", {"postgres": {"superuser": {"existingSecret": "our"}}}, "superuser.existingSecret"),
    (
        "postgres",
        {"databases": [{"database": "crm", "secret": "our", "existing": True}]},
        "databases: the login of role crm",
    ),
    (
        "shop",
        {"services": {"invoices": {"database": {"existingSecret": "our"}}}},
        "services.invoices.database.existingSecret",
    ),
    (
        "shop",
        {"services": {"orders": {"database": {"existingSecret": "there", "existingCaptureSecret": "our"}}}},
        "services.orders.database.existingCaptureSecret",
    ),
]


@pytest.mark.parametrize(("chart", "values", "value"), NAMED_SECRETS)
def test_a_secret_that_is_not_there_is_named(
    helm: Helm, tmp_path: Path, chart: str, values: Object, value: str
) -> None:
    place = INSTALLED[chart]
    here = [namespace(place), present("Secret", "there", place), present("Secret", "our", "elsewhere")]
    with pytest.raises(RefusedError, match=f"{value} names Secret our, which is not in namespace {place}: create it"):
        install(helm, tmp_path, chart, values, here)
    install(helm, tmp_path, chart, values, [*here, present("Secret", "our", place)])


@pytest.mark.parametrize(("chart", "values", "value"), NAMED_SECRETS)
def test_a_namespace_that_is_yet_to_be_made_may_get_its_secrets_later(
    helm: Helm, tmp_path: Path, chart: str, values: Object, value: str
) -> None:
    install(helm, tmp_path, chart, values, [namespace("default")])
    helm.render(chart, values)


def role(name: str, release: str, system: str, *, where: str) -> Object:
    """A role of the operator of some release: in a namespace, or everywhere."""
    annotations = {"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": system}
    kind = "Role" if where else "ClusterRole"
    return present(kind, name, where, version=RBAC, labels=OPERATOR, annotations=annotations)


@pytest.mark.parametrize(
    ("watched", "where"), [([], ""), ([], "crm"), (["shop", "crm"], "crm")], ids=["everywhere", "one of all", "one"]
)
def test_a_second_release_for_one_namespace_is_refused(
    helm: Helm, tmp_path: Path, watched: list[str], where: str
) -> None:
    other = role("sagas-kompensa-operator", "sagas", "team-a", where=where)
    place = where or "all namespaces"
    with pytest.raises(RefusedError, match=f"release sagas in namespace team-a works in {place} already"):
        install(helm, tmp_path, "kompensa", {"watchNamespaces": watched}, [other])


def test_releases_for_different_namespaces_are_taken(helm: Helm, tmp_path: Path) -> None:
    others = [
        role("sagas-kompensa-operator", "sagas", "team-a", where="crm"),
        # Its Lease is where it runs, which may be a namespace that another release watches.
        role("sagas-kompensa-operator-lease", "sagas", "team-a", where="shop"),
        present("Role", "app", "shop", version=RBAC),
        role("kompensa-operator", "kompensa", "kompensa-system", where="shop"),
    ]
    install(helm, tmp_path, "kompensa", {"watchNamespaces": ["shop"]}, others)


def test_an_upgrade_is_not_kept_off_by_its_own_release(helm: Helm, tmp_path: Path) -> None:
    own = role("kompensa-operator", "kompensa", "kompensa-system", where="")
    install(helm, tmp_path, "kompensa", {}, [own])


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
