"""A Replica in, its worker's objects out: compared with golden YAML, which a reader can check by eye."""

from pathlib import Path
from typing import Any

import yaml

from kompensa.cluster.replica_deployment import worker_objects
from kompensa.cluster.resources import DEPLOYMENTS, Object

GOLDEN = Path(__file__).parent / "golden"


def replica() -> Object:
    document: Object = yaml.safe_load((GOLDEN / "replica.yaml").read_text())
    return document


def worker(**changed: Any) -> list[Object]:
    return [body for _, body in worker_objects(replica() | changed, image="kompensa:1", kafka="kafka:9092")]


def deployment_of(objects: list[Object]) -> Object:
    return next(body for body in objects if body["kind"] == DEPLOYMENTS.kind)


def test_a_replica_becomes_a_config_map_a_service_and_a_deployment() -> None:
    expected = list(yaml.safe_load_all((GOLDEN / "replica-worker.yaml").read_text()))
    assert worker() == expected


def test_a_changed_spec_rolls_the_worker() -> None:
    spec = replica()["spec"]
    changed = worker(spec=spec | {"onDelete": "Delete"})
    template, other = (deployment_of(objects)["spec"]["template"] for objects in (worker(), changed))
    assert template["metadata"]["annotations"] != other["metadata"]["annotations"]


def test_what_the_worker_reads_is_free_of_what_changes_by_itself() -> None:
    noisy = replica()
    noisy["metadata"] |= {"resourceVersion": "12", "annotations": {"touched": "now"}}
    noisy["status"] = {"lagRecords": 3}
    bodies = [body for _, body in worker_objects(noisy, image="kompensa:1", kafka="kafka:9092")]
    assert bodies == worker()
