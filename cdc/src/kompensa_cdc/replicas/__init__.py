"""Replicas: a consuming service's own copy of another's data, kept right, fresh and minimal."""

from kompensa_cdc.replicas.progress import Progress
from kompensa_cdc.replicas.retry_parked import Retried, retry_parked
from kompensa_cdc.replicas.rewind import rewind
from kompensa_cdc.replicas.spec import InvalidReplicaError, ReplicaSpec, replica_from_object
from kompensa_cdc.replicas.worker import Worker

__all__ = [
    "InvalidReplicaError",
    "Progress",
    "ReplicaSpec",
    "Retried",
    "Worker",
    "replica_from_object",
    "retry_parked",
    "rewind",
]
