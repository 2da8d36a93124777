"""The worker of one Replica as Kubernetes objects. Pure: a Replica in, a ConfigMap, a Service and a Deployment out.

The pod gets what one worker needs and nothing else: the Replica's spec as a file, the database URL of the consuming
service from its own Secret, and no ServiceAccount token. All three belong to the Replica and go with it.
"""

import hashlib
import json
from typing import Any

import msgspec

from kompensa.cluster.resources import CONFIG_MAPS, DEPLOYMENTS, SERVICES, Object, Resource
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


def worker_name(replica_name: str) -> str:
    """The name of the worker's objects; prefixed, so that it meets none of the service's own."""
    return f"replica-{replica_name}"


def worker_objects(replica: Object, site: WorkerSite) -> list[tuple[Resource, Object]]:
    """The objects to apply, in this order: those that the pod needs come before it."""
    spec_text = _spec_text(replica)
    return [
        (CONFIG_MAPS, _object(CONFIG_MAPS, replica) | {"data": {SPEC_FILE: spec_text}}),
        (SERVICES, _object(SERVICES, replica) | {"spec": _service_spec(replica)}),
        (DEPLOYMENTS, _object(DEPLOYMENTS, replica) | {"spec": _deployment_spec(replica, spec_text, site)}),
    ]


def _spec_text(replica: Object) -> str:
    metadata = {key: replica["metadata"][key] for key in ("name", "namespace")}
    document = {
        "apiVersion": replica["apiVersion"],
        "kind": replica["kind"],
        "metadata": metadata,
        "spec": replica["spec"],
    }
    return json.dumps(document, sort_keys=True, indent=1)


def _object(resource: Resource, replica: Object) -> Object:
    metadata = replica["metadata"]
    owner = {
        "apiVersion": replica["apiVersion"],
        "kind": replica["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": worker_name(metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": _labels(replica),
            "ownerReferences": [owner],
        },
    }


def _labels(replica: Object) -> dict[str, str]:
    name = replica["metadata"]["name"]
    return {
        "app.kubernetes.io/name": "kompensa-replica",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": "replica",
        "app.kubernetes.io/managed-by": "kompensa",
        _LABEL: name,
    }


def _selector(replica: Object) -> dict[str, str]:
    return {_LABEL: replica["metadata"]["name"]}


def _service_spec(replica: Object) -> dict[str, Any]:
    port = {"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}
    # A worker that is not ready is the one whose status is wanted most.
    return {"selector": _selector(replica), "ports": [port], "publishNotReadyAddresses": True}


def _deployment_spec(replica: Object, spec_text: str, site: WorkerSite) -> dict[str, Any]:
    digest = hashlib.sha256(spec_text.encode()).hexdigest()[:16]
    return {
        "replicas": 1,
        # The writer fences a second worker off anyway; without one there is nothing to fence.
        "strategy": {"type": "Recreate"},
        "revisionHistoryLimit": 2,
        "selector": {"matchLabels": _selector(replica)},
        "template": {
            "metadata": {"labels": _labels(replica), "annotations": {"kompensa.dev/spec-hash": digest}},
            "spec": {
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                **site.pod.scheduling(),
                "containers": [_container(replica, site)],
                "volumes": [
                    {"name": "spec", "configMap": {"name": worker_name(replica["metadata"]["name"])}},
                    {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
                ],
            },
        },
    }


def _container(replica: Object, site: WorkerSite) -> dict[str, Any]:
    return {
        "name": "replica",
        "image": site.image,
        "imagePullPolicy": site.pod.image_pull_policy,
        "command": ["kompensa-cdc", "replica"],
        "env": [
            {"name": "KOMPENSA_KAFKA", "value": site.kafka},
            {"name": "REPLICA_SPEC", "value": f"{_SPEC_FOLDER}/{SPEC_FILE}"},
            {"name": "STATUS_PORT", "value": str(PORT)},
            *_login(replica),
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


def secret_keys(replica: Object) -> dict[str, str]:
    """The keys of the Secret that the worker is given, by the variable that gets their value.

    A login in parts goes into libpq's own variables, which complete an empty URL.
    """
    keys = replica["spec"]["target"]["databaseSecretRef"].get("keys") or {}
    parts = {variable: keys[part] for part, variable in _PART_VARIABLES.items() if part in keys}
    return {"DATABASE_URL": keys["url"]} if "url" in keys else parts or {"DATABASE_URL": URL_KEY}


def _login(replica: Object) -> list[dict[str, Any]]:
    secret = replica["spec"]["target"]["databaseSecretRef"]["name"]
    keys = secret_keys(replica)
    empty_url = [] if "DATABASE_URL" in keys else [{"name": "DATABASE_URL", "value": "postgresql://"}]
    return empty_url + [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
        for variable, key in keys.items()
    ]


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }
