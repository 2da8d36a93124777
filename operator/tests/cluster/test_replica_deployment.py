"""A Replica in, its worker's objects out: compared with golden YAML, which a reader can check by eye."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from kompensa.cluster.replica_deployment import secret_keys, worker_objects
from kompensa.cluster.resources import DEPLOYMENTS, Object
from kompensa.cluster.worker_site import WorkerPod, WorkerSite

GOLDEN = Path(__file__).parent / "golden"
SITE = WorkerSite(image="kompensa:1", kafka="kafka:9092", pod=WorkerPod())


def replica() -> Object:
    document: Object = yaml.safe_load((GOLDEN / "replica.yaml").read_text())
    return document


def worker(**changed: Any) -> list[Object]:
    return [body for _, body in worker_objects(replica() | changed, SITE)]


def deployment_of(objects: list[Object]) -> Object:
    return next(body for body in objects if body["kind"] == DEPLOYMENTS.kind)


def test_a_replica_becomes_a_config_map_a_service_and_a_deployment() -> None:
    expected = list(yaml.safe_load_all((GOLDEN / "replica-worker.yaml").read_text()))
    assert worker() == expected


def test_the_installation_says_how_the_pod_is_pulled_placed_and_bounded() -> None:
    wishes = msgspec.json.decode((GOLDEN / "worker-pod.json").read_text(), type=WorkerPod)
    site = replace(SITE, pod=wishes)
    deployment = deployment_of([body for _, body in worker_objects(replica(), site)])
    assert deployment["spec"]["template"]["spec"] == yaml.safe_load((GOLDEN / "replica-worker-pod.yaml").read_text())


def test_a_changed_spec_rolls_the_worker() -> None:
    spec = replica()["spec"]
    changed = worker(spec=spec | {"onDelete": "Delete"})
    template, other = (deployment_of(objects)["spec"]["template"] for objects in (worker(), changed))
    assert template["metadata"]["annotations"] != other["metadata"]["annotations"]


def test_what_the_worker_reads_is_free_of_what_changes_by_itself() -> None:
    noisy = replica()
    noisy["metadata"] |= {"resourceVersion": "12", "annotations": {"touched": "now"}}
    noisy["status"] = {"lagRecords": 3}
    bodies = [body for _, body in worker_objects(noisy, SITE)]
    assert bodies == worker()


def with_keys(**keys: str) -> Object:
    described = replica()
    reference = {"name": "invoices-db", **({"keys": keys} if keys else {})}
    described["spec"]["target"]["databaseSecretRef"] = reference
    return described


@pytest.mark.parametrize(
    ("keys", "variables"),
    [
        ({}, {"DATABASE_URL": "url"}),
        ({"url": "uri"}, {"DATABASE_URL": "uri"}),
        ({"url": "uri", "host": "host"}, {"DATABASE_URL": "uri"}),
        (
            {"host": "h", "port": "p", "database": "dbname", "username": "user", "password": "pw"},
            {"PGHOST": "h", "PGPORT": "p", "PGDATABASE": "dbname", "PGUSER": "user", "PGPASSWORD": "pw"},
        ),
        ({"username": "user", "password": "pw"}, {"PGUSER": "user", "PGPASSWORD": "pw"}),
    ],
)
def test_a_worker_reads_the_keys_of_the_secret(keys: dict[str, str], variables: dict[str, str]) -> None:
    assert secret_keys(with_keys(**keys)) == variables


@pytest.mark.parametrize(("keys", "empty"), [({"url": "uri"}, False), ({"host": "h", "username": "user"}, True)])
def test_parts_of_a_login_complete_an_empty_url(keys: dict[str, str], empty: bool) -> None:
    bodies = [body for _, body in worker_objects(with_keys(**keys), SITE)]
    (container,) = deployment_of(bodies)["spec"]["template"]["spec"]["containers"]
    given = {variable["name"]: variable for variable in container["env"]}
    assert ("value" in given["DATABASE_URL"]) is empty
    assert all(
        given[name]["valueFrom"]["secretKeyRef"]["name"] == "invoices-db" for name in secret_keys(with_keys(**keys))
    )
