"""A Replica in, its worker's objects out: compared with golden YAML, which a reader can check by eye."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from kompensa.cluster.replica_deployment import ReplicaWorker, worker_objects
from kompensa.cluster.resources import DEPLOYMENTS, Object
from kompensa.cluster.secrets import SecretReference
from kompensa.cluster.worker_site import WorkerPod, WorkerSite
from kompensa.handlers.replicas import worker_of
from kompensa.handlers.watched_object import WatchedObject
from kompensa.model.parsing import SpecError

GOLDEN = Path(__file__).parent / "golden"
SITE = WorkerSite(image="kompensa:1", kafka="kafka:9092", pod=WorkerPod())


def replica() -> Object:
    document: Object = yaml.safe_load((GOLDEN / "replica.yaml").read_text())
    return document


def worker(**changed: Any) -> ReplicaWorker:
    return worker_of(WatchedObject(replica() | changed))


def objects(**changed: Any) -> list[Object]:
    return [body for _, body in worker_objects(worker(**changed), SITE)]


def deployment_of(objects: list[Object]) -> Object:
    return next(body for body in objects if body["kind"] == DEPLOYMENTS.kind)


def test_a_replica_becomes_a_config_map_a_service_and_a_deployment() -> None:
    expected = list(yaml.safe_load_all((GOLDEN / "replica-worker.yaml").read_text()))
    assert objects() == expected


def test_the_installation_decides_how_the_pod_is_pulled_placed_and_bounded() -> None:
    wishes = msgspec.json.decode((GOLDEN / "worker-pod.json").read_text(), type=WorkerPod)
    site = replace(SITE, pod=wishes)
    deployment = deployment_of([body for _, body in worker_objects(worker(), site)])
    assert deployment["spec"]["template"]["spec"] == yaml.safe_load((GOLDEN / "replica-worker-pod.yaml").read_text())


def test_a_worker_sends_its_spans_to_the_receiver_of_the_installation() -> None:
    site = replace(SITE, tracing_endpoint="http://collector:4318")
    deployment = deployment_of([body for _, body in worker_objects(worker(), site)])
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector:4318"} in container["env"]


def test_a_changed_spec_rolls_the_worker() -> None:
    changed = objects(spec=replica()["spec"] | {"onDelete": "Delete"})
    template, other = (deployment_of(bodies)["spec"]["template"] for bodies in (objects(), changed))
    assert template["metadata"]["annotations"] != other["metadata"]["annotations"]


def test_a_change_outside_the_spec_does_not_roll_the_worker() -> None:
    metadata = replica()["metadata"] | {"resourceVersion": "12", "annotations": {"touched": "now"}}
    assert objects(metadata=metadata, status={"lagRecords": 3}) == objects()


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ({"databaseSecretRef": {}}, "spec.target.databaseSecretRef"),
        ({"databaseSecretRef": {"name": "crm", "keys": {"url": 3}}}, "spec.target.databaseSecretRef.keys"),
        ({"table": "customers"}, "spec.target.table"),
    ],
)
def test_a_replica_that_cannot_be_read_names_the_field(target: Object, field: str) -> None:
    spec = replica()["spec"]
    with pytest.raises(SpecError, match=re.escape(field)):
        worker(spec=spec | {"target": spec["target"] | target})


def with_keys(**keys: str) -> ReplicaWorker:
    return replace(worker(), database=SecretReference(name="invoices-db", keys=keys))


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
    assert with_keys(**keys).secret_keys == variables


@pytest.mark.parametrize(("keys", "empty"), [({"url": "uri"}, False), ({"host": "h", "username": "user"}, True)])
def test_parts_of_a_login_complete_an_empty_url(keys: dict[str, str], empty: bool) -> None:
    described = with_keys(**keys)
    bodies = [body for _, body in worker_objects(described, SITE)]
    (container,) = deployment_of(bodies)["spec"]["template"]["spec"]["containers"]
    given = {variable["name"]: variable for variable in container["env"]}
    assert ("value" in given["DATABASE_URL"]) is empty
    assert all(given[name]["valueFrom"]["secretKeyRef"]["name"] == "invoices-db" for name in described.secret_keys)
