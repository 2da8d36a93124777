"""Replicas: a consuming service's own copy of another service's data, kept up to date from its events.

A Worker runs sessions. In each, BatchReader reads batches from Kafka and RetryingWriter writes them. It calls
BatchWriter, one transaction a batch, which writes rows through RowWriter and parks events that do not fit.
"""

from kompensa_cdc.replicas.progress import ReplicaProgress
from kompensa_cdc.replicas.retry_parked import Retried, retry_parked
from kompensa_cdc.replicas.rewind import rewind
from kompensa_cdc.replicas.spec import InvalidReplicaError, ReplicaSpec, replica_from_object
from kompensa_cdc.replicas.worker import Worker

__all__ = [
    "InvalidReplicaError",
    "ReplicaProgress",
    "ReplicaSpec",
    "Retried",
    "Worker",
    "replica_from_object",
    "retry_parked",
    "rewind",
]
