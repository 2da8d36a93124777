"""Logins: made once, kept in Secrets, replaced by Secrets of the user's."""

import re

import pytest

from charts.tests.rendering import Helm, Object, Rendering

KEYS = {"host", "port", "database", "username", "password", "url"}
KEEP = {"helm.sh/resource-policy": "keep"}
CRM = {"databases": [{"database": "crm", "capture": {"role": "crm_capture", "secret": "crm-capture"}}]}


def passwords(rendering: Rendering) -> set[str]:
    """Everything secret that the chart made: roles' passwords and the API's token."""
    values = [secret.get("stringData", {}) for secret in rendering.of("Secret")]
    return {held[key] for held in values for key in ("password", "token") if key in held}


def test_each_role_has_a_secret_that_says_all_about_its_login(helm: Helm) -> None:
    postgres = helm.render("postgres", CRM)
    login = postgres.one("Secret", "postgres-crm")["stringData"]
    assert login.keys() == KEYS
    assert login["host"] == "postgres.data.svc"
    assert login["url"] == f"postgresql://crm:{login['password']}@postgres.data.svc:5432/crm"
    assert postgres.one("Secret", "crm-capture")["stringData"]["username"] == "crm_capture"
    assert len(passwords(postgres)) == 3


def test_every_install_makes_passwords_of_its_own(helm: Helm) -> None:
    first = helm.render("postgres", CRM)
    second = helm.render("postgres", CRM, namespace="elsewhere")
    assert not passwords(first) & passwords(second)


def test_no_password_stands_anywhere_but_in_secrets(helm: Helm) -> None:
    for chart in ("postgres", "kompensa", "shop"):
        rendering = helm.render(chart, CRM if chart == "postgres" else {})
        others = [text for name, text in rendering.documents().items() if not name.startswith("Secret/")]
        assert passwords(rendering)
        for password in passwords(rendering):
            assert not any(password in text for text in others)


def test_a_login_of_the_users_is_not_made_but_used(helm: Helm) -> None:
    crm = {"database": "crm", "secret": "our-crm", "existing": True}
    postgres = helm.render(
        "postgres",
        {"databases": [crm], "superuser": {"existingSecret": {"name": "our-admin", "keys": {"password": "pw"}}}},
    )
    assert not postgres.of("Secret")
    for pod in (provision(postgres), postgres.pod("StatefulSet", "postgres").spec):
        assert mounted_keys(pod)["our-admin"] == ["pw"]
    assert mounted_keys(provision(postgres))["our-crm"] == ["password"]


def test_a_journal_of_the_users_replaces_the_bundled_one(helm: Helm) -> None:
    own = {
        "postgres": {"enabled": False},
        "journal": {"existingSecret": {"name": "our-journal", "keys": {"url": "uri"}}},
    }
    kompensa = helm.render("kompensa", own)
    assert not kompensa.of("StatefulSet", "PersistentVolumeClaim")
    url = kompensa.pod("Deployment", "kompensa-engine").environment()["KOMPENSA_JOURNAL_URL"]
    assert url["valueFrom"]["secretKeyRef"] == {"name": "our-journal", "key": "uri"}


def test_the_engine_uses_the_bundled_journals_login(helm: Helm) -> None:
    kompensa = helm.render("kompensa")
    reference = kompensa.pod("Deployment", "kompensa-engine").environment()["KOMPENSA_JOURNAL_URL"]
    name = reference["valueFrom"]["secretKeyRef"]["name"]
    assert kompensa.one("Secret", name)["stringData"]["database"] == "kompensa"


def test_engine_and_operator_share_the_apis_token(helm: Helm) -> None:
    own = {"api": {"existingSecret": {"name": "our-token", "keys": {"token": "bearer"}}}}
    for values, name, key in (({}, "kompensa-api", "token"), (own, "our-token", "bearer")):
        kompensa = helm.render("kompensa", values)
        for process in ("engine", "operator"):
            token = kompensa.pod("Deployment", f"kompensa-{process}").environment()["KOMPENSA_API_TOKEN"]
            assert token["valueFrom"]["secretKeyRef"] == {"name": name, "key": key}
        assert kompensa.has("Secret", "kompensa-api") is (not values)


@pytest.mark.parametrize("chart", ["kompensa", "backbone", "postgres", "shop"])
def test_uninstalling_leaves_data_logins_and_kinds(helm: Helm, chart: str) -> None:
    rendering = helm.render(chart)
    lasting = rendering.of("PersistentVolumeClaim", "Secret", "CustomResourceDefinition")
    assert lasting
    for item in lasting:
        assert item["metadata"]["annotations"].items() >= KEEP.items(), item["metadata"]["name"]


def test_data_can_be_made_to_go_with_the_release(helm: Helm) -> None:
    postgres = helm.render("postgres", {"storage": {"keep": False}})
    for item in postgres.of("PersistentVolumeClaim", "Secret"):
        assert "annotations" not in item["metadata"]


def test_the_capture_secret_holds_nothing_that_an_upgrade_could_put_back(helm: Helm) -> None:
    secret = helm.render("backbone").one("Secret", "kompensa-capture-credentials")
    assert not {"data", "stringData"} & secret.keys()


def test_the_provisioning_sql_reads_passwords_from_the_mounted_logins(helm: Helm) -> None:
    postgres = helm.render("postgres", CRM)
    script = postgres.one("ConfigMap", "postgres")["data"]["provision.sql"]
    read = set(re.findall(r"/etc/logins/([^/]+)/password", script))
    mounts = provision(postgres)["containers"][0]["volumeMounts"]
    assert read == {"postgres-crm", "crm-capture"}
    assert {f"/etc/logins/{name}" for name in read} <= {mount["mountPath"] for mount in mounts}


def mounted_keys(pod: Object) -> dict[str, list[str]]:
    """The keys that a pod mounts, by Secret."""
    secrets = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    return {secret["secretName"]: [item["key"] for item in secret["items"]] for secret in secrets}


def provision(rendering: Rendering) -> Object:
    jobs = [job for job in rendering.of("Job") if "-provision-" in job["metadata"]["name"]]
    spec: Object = jobs[0]["spec"]["template"]["spec"]
    return spec
