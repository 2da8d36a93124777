"""The operator's Prometheus metrics; their names follow the usual ones of controllers."""

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

QUEUE_DEPTH = Gauge("kompensa_operator_queue_depth", "Keys in a work queue, waiting ones included", ["queue"])
WORK_DURATION = Histogram("kompensa_operator_work_duration_seconds", "Time of one reconciliation", ["queue"])
RETRIES = Counter("kompensa_operator_queue_retries", "Reconciliations that failed and are repeated", ["queue"])
EVENTS = Counter("kompensa_operator_watch_events", "Events delivered by the watch", ["kind"])
STATUS_WRITES = Counter("kompensa_operator_status_writes", "Status PATCHes sent", ["kind"])
ACTIVE = Gauge("kompensa_operator_active", "1 while this operator holds the lease")
NAMESPACE_TROUBLE = Gauge(
    "kompensa_operator_namespace_trouble", "1 while a watched namespace cannot be worked in", ["namespace", "reason"]
)
SETTLED = Counter("kompensa_operator_settled_sagas", "Sagas settled because their object was gone")

__all__ = [
    "ACTIVE",
    "EVENTS",
    "NAMESPACE_TROUBLE",
    "QUEUE_DEPTH",
    "REGISTRY",
    "RETRIES",
    "SETTLED",
    "STATUS_WRITES",
    "WORK_DURATION",
]
