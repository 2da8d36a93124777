"""The worker of one Replica as Kubernetes objects. Pure: a worker in, a ConfigMap, a Service and a Deployment out.

The pod gets what one worker needs and nothing else: the Replica's spec as a file, the database URL of the consuming
service from its own Secret, and no ServiceAccount token. All three belong to the Replica and go with it.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import msgspec

from kompensa.cluster.resources import CONFIG_MAPS, DEPLOYMENTS, REPLICAS, SERVICES, Object, Resource
from kompensa.cluster.secrets import SecretReference
from kompensa.cluster.worker_site import WorkerSite

PORT = 8080
SPEC_FILE = "replica.json"
URL_KEY = "url"  # of the Secret that target.databaseSecretRef names
_PART_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "database": "PGDATABASE",
    "username": "PGUSER",
    "password": "PGPASSWORD",
}
_SPEC_FOLDER = "/etc/kompensa/replica"
_LABEL = "kompensa.dev/replica"


@dataclass(frozen=True, kw_only=True)
class ReplicaWorker:
    """The Replica's part of its worker.

    Attributes
    ----------
    document
        The Replica as JSON, for the worker to read.
    database
        The Secret with the login of the consuming service.
    """

    namespace: str
    replica: str
    uid: str
    document: str
    database: SecretReference

    @property
    def name(self) -> str:
        """The name of the worker's objects; the prefix keeps it apart from the service's own."""
        return f"replica-{self.replica}"

    @property
    def secret_keys(self) -> dict[str, str]:
        """The keys of the Secret that the worker is given, by the variable that gets their value.

        A login in parts goes into libpq's own variables, which complete an empty URL.
        """
        keys = self.database.keys
        parts = {variable: keys[part] for part, variable in _PART_VARIABLES.items() if part in keys}
        return {"DATABASE_URL": keys["url"]} if "url" in keys else parts or {"DATABASE_URL": URL_KEY}


def replica_document(namespace: str, name: str, spec: Object) -> str:
    """A Replica as JSON with nothing in it that changes by itself, such as its status."""
    metadata = {"name": name, "namespace": namespace}
    document = {"apiVersion": REPLICAS.api_version, "kind": REPLICAS.kind, "metadata": metadata, "spec": spec}
    return json.dumps(document, sort_keys=True, indent=1)


def worker_objects(worker: ReplicaWorker, site: WorkerSite) -> list[tuple[Resource, Object]]:
    """The objects to apply, in this order: those that the pod needs come before it."""
    return [
        (CONFIG_MAPS, _object(CONFIG_MAPS, worker) | {"data": {SPEC_FILE: worker.document}}),
        (SERVICES, _object(SERVICES, worker) | {"spec": _service_spec(worker)}),
        (DEPLOYMENTS, _object(DEPLOYMENTS, worker) | {"spec": _deployment_spec(worker, site)}),
    ]


def _object(resource: Resource, worker: ReplicaWorker) -> Object:
    owner = {
        "apiVersion": REPLICAS.api_version,
        "kind": REPLICAS.kind,
        "name": worker.replica,
        "uid": worker.uid,
        "controller": True,
    }
    metadata = {
        "name": worker.name,
        "namespace": worker.namespace,
        "labels": _labels(worker),
        "ownerReferences": [owner],
    }
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


def _labels(worker: ReplicaWorker) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "kompensa-replica",
        "app.kubernetes.io/instance": worker.replica,
        "app.kubernetes.io/component": "replica",
        "app.kubernetes.io/managed-by": "kompensa",
        _LABEL: worker.replica,
    }


def _selector(worker: ReplicaWorker) -> dict[str, str]:
    return {_LABEL: worker.replica}


def _service_spec(worker: ReplicaWorker) -> dict[str, Any]:
    port = {"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}
    # A worker that is not ready is the one whose status is wanted most.
    return {"selector": _selector(worker), "ports": [port], "publishNotReadyAddresses": True}


def _deployment_spec(worker: ReplicaWorker, site: WorkerSite) -> dict[str, Any]:
    digest = hashlib.sha256(worker.document.encode()).hexdigest()[:16]
    return {
        "replicas": 1,
        # The writer fences a second worker off anyway; without one there is nothing to fence.
        "strategy": {"type": "Recreate"},
        "revisionHistoryLimit": 2,
        "selector": {"matchLabels": _selector(worker)},
        "template": {
            "metadata": {"labels": _labels(worker), "annotations": {"kompensa.dev/spec-hash": digest}},
            "spec": _pod_spec(worker, site),
        },
    }


def _pod_spec(worker: ReplicaWorker, site: WorkerSite) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        **site.pod.scheduling(),
        "containers": [_container(worker, site)],
        "volumes": [
            {"name": "spec", "configMap": {"name": worker.name}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }


def _container(worker: ReplicaWorker, site: WorkerSite) -> dict[str, Any]:
    return {
        "name": "replica",
        "image": site.image,
        "imagePullPolicy": site.pod.image_pull_policy,
        "command": ["kompensa-cdc", "replica"],
        "env": [
            {"name": "KOMPENSA_KAFKA", "value": site.kafka},
            {"name": "REPLICA_SPEC", "value": f"{_SPEC_FOLDER}/{SPEC_FILE}"},
            {"name": "STATUS_PORT", "value": str(PORT)},
            *_tracing(site),
            *_login(worker),
        ],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "livenessProbe": _probe("/healthz", period=10, failures=6),
        "readinessProbe": _probe("/readyz", period=5, failures=3),
        "resources": msgspec.to_builtins(site.pod.resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "spec", "mountPath": _SPEC_FOLDER, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- the pod's own, not the host's
        ],
    }


def _tracing(site: WorkerSite) -> list[dict[str, Any]]:
    endpoint = site.tracing_endpoint
    return [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": endpoint}] if endpoint else []


def _login(worker: ReplicaWorker) -> list[dict[str, Any]]:
    keys = worker.secret_keys
    empty_url = [] if "DATABASE_URL" in keys else [{"name": "DATABASE_URL", "value": "postgresql://"}]
    return empty_url + [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": worker.database.name, "key": key}}}
        for variable, key in keys.items()
    ]


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }
