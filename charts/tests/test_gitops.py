"""Renderings without a look into the cluster: the same twice, with the Secrets and values of docs/guides/gitops.md."""

import re
from typing import Any

import pytest
import yaml

from charts.tests.rendering import CHARTS, INSTALLED, Helm, Rendering

GUIDE = (CHARTS.parent / "docs/guides/gitops.md").read_text()
BLOCKS = dict(re.findall(r"```yaml\n# (values of [^\n]+)\n(.*?)```", GUIDE, re.DOTALL))
OWN_SECRETS = [
    pytest.param("kompensa", BLOCKS["values of kompensa"], id="kompensa"),
    pytest.param("kompensa", BLOCKS["values of kompensa with a journal elsewhere"], id="kompensa-own-journal"),
    pytest.param("shop", BLOCKS["values of shop"], id="shop"),
    pytest.param("backbone", "{}", id="backbone"),
]
FULL_LOGIN = {"host", "port", "database", "username", "password", "url"}


def rendered(helm: Helm, chart: str, values: str) -> str:
    """The text of one rendering; `Helm.render` would return the first one again."""
    return helm.run("template", chart, str(CHARTS / chart), "--namespace", INSTALLED[chart], values=values)


@pytest.mark.parametrize(("chart", "values"), OWN_SECRETS)
def test_two_renderings_are_the_same_to_the_byte(helm: Helm, chart: str, values: str) -> None:
    assert rendered(helm, chart, values) == rendered(helm, chart, values)


@pytest.mark.parametrize(("chart", "values"), OWN_SECRETS)
def test_no_rendered_secret_holds_a_password(helm: Helm, chart: str, values: str) -> None:
    for secret in Rendering(rendered(helm, chart, values)).of("Secret"):
        assert not {"data", "stringData"} & secret.keys(), secret["metadata"]["name"]


@pytest.mark.parametrize("chart", ["kompensa", "postgres", "shop"])
def test_without_own_secrets_each_rendering_makes_new_passwords(helm: Helm, chart: str) -> None:
    """The reason for the guide; if this fails, the guide can be shorter."""
    assert rendered(helm, chart, "{}") != rendered(helm, chart, "{}")


def test_the_guide_creates_every_secret_that_its_values_name() -> None:
    script = GUIDE.partition("login() {")[2].partition("```")[0]
    created = {"our-token", *re.findall(r"login \S+ (our-[a-z-]+)", script)}
    (services,) = (names.split() for names in re.findall(r"for service in ([a-z ]+);", script))
    suffixes = ("", "-admin", "-callers", "-capture")
    created |= {f"our-{service}{suffix}" for service in services for suffix in suffixes}
    named = set(re.findall(r"[a-z]+: (our-[a-z-]+)", GUIDE))
    assert named == created
    assert {key for key in FULL_LOGIN if f"--from-literal={key}=" in script} == FULL_LOGIN


def test_the_logins_of_the_guide_lead_to_the_servers_and_roles_of_the_charts(helm: Helm) -> None:
    """Their URLs are written by hand there."""
    calls = re.findall(r"^ +login ([a-z-]+) (our-[a-z-]+) ([a-z-]+) (\w+) (\w+)$", GUIDE, re.MULTILINE)
    logins = {secret: (namespace, host, database, role) for namespace, secret, host, database, role in calls}
    assert logins["our-journal"] == made(helm, "kompensa", "kompensa-postgres-kompensa")
    assert logins["our-admin"] == made(helm, "kompensa", "kompensa-postgres-superuser")
    for service in ("orders", "inventory"):
        server = f"{service}-postgres"
        assert ("shop", server, service, service) == made(helm, "shop", server)
        assert ("shop", server, service, f"{service}_capture") == made(helm, "shop", f"{service}-capture")


def made(helm: Helm, chart: str, secret: str) -> tuple[str, str, str, str]:
    """Namespace, host, database and role in a Secret that the chart would make."""
    login: dict[str, Any] = helm.render(chart).one("Secret", secret)["stringData"]
    host, namespace, _ = login["host"].split(".")
    return namespace, host, login["database"], login["username"]


def test_a_changed_job_has_a_new_name_and_an_unchanged_one_keeps_its_name(helm: Helm) -> None:
    """A Job cannot be changed, and without Helm's release the revision is always 1."""

    def job(values: str) -> Any:
        return Rendering(rendered(helm, "postgres", values)).of("Job")[0]

    databases = "databases: [{database: crm}]\n"
    changes = ("runAsUser: 7\n", "image: {tag: v2}\n", "tolerations: [{operator: Exists}]\n")
    first = job(databases)
    assert first["metadata"] == job(databases)["metadata"]
    names = [job(databases + change)["metadata"]["name"] for change in changes]
    assert len({first["metadata"]["name"], *names}) == 4


def test_argo_cd_and_flux_accept_that_a_finished_job_is_deleted(helm: Helm) -> None:
    annotations = helm.render("postgres").of("Job")[0]["metadata"]["annotations"]
    assert annotations["argocd.argoproj.io/hook"] == "Sync"
    assert annotations["helm.toolkit.fluxcd.io/driftDetection"] == "disabled"


def test_the_manifests_for_argo_cd_and_flux_use_values_that_the_chart_accepts(helm: Helm) -> None:
    manifests = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(apiVersion.*?)```", GUIDE, re.DOTALL)]
    values = {item["kind"]: item["spec"] for item in manifests}
    assert helm.render("kompensa", values["HelmRelease"]["values"])
    application = values["Application"]["source"]["helm"]["valuesObject"]
    assert application == yaml.safe_load(BLOCKS["values of kompensa"])
