"""Values at their extremes, and our charts below an umbrella chart: cases for every test that judges objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from charts.tests.rendering import CHARTS, INSTALLED, VARIANTS, Object

LONGEST_RELEASE = "a-release-that-takes-all-of-fifty-three-characters-xx"
LONGEST_NAMESPACE = "n" * 63
PEER = {"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]}}
POD: Object = {
    "podLabels": {"example.com/team": "a", "empty": ""},
    "podAnnotations": {
        "example.com/odd": "a: b #c\n{{ .Values }} 'd\" *e 雪",
        "cluster-autoscaler.kubernetes.io/x": "true",
    },
    "nodeSelector": {"example.com/disk": "1e3"},
    "tolerations": [
        {"operator": "Exists"},
        {"key": "a", "value": "true", "effect": "NoExecute", "tolerationSeconds": 1},
    ],
    "affinity": {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": "b"}}}
            ]
        }
    },
    "topologySpreadConstraints": [
        {
            "maxSkew": 1,
            "topologyKey": "zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"a": "b"}},
        }
    ],
    "priorityClassName": "123",
}
WORKER = {"nodeSelector": POD["nodeSelector"], "tolerations": POD["tolerations"], "resources": None}
FILES = {
    "extraEnv": [
        {"name": "A", "value": "1e3"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    ],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "123"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}],
}
IMAGE = {"registry": "[2001:db8::1]:5000", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"}
ROOT: Object = {
    "commonLabels": {"example.com/cost-center": "0123", "on": "yes"},
    "imagePullSecrets": [{"name": "123"}],
    "runAsUser": None,
    "ipFamilyPolicy": "RequireDualStack",
    "ipFamilies": ["IPv6", "IPv4"],
}


def egress(*directions: str) -> Object:
    return {direction: {"ports": [1, 65535], "to": [PEER]} for direction in directions}


def service(**database: Any) -> Object:
    return {**POD, **FILES, "replicas": 0, "resources": None, "image": IMAGE, "nodePort": None, "database": database}


def external(name: str) -> Object:
    return {"bundled": False, "existingSecret": {"name": name, "keys": {"url": ""}}}


FILES_OF_OPERATOR = {**FILES, "extraVolumes": [{"name": "more", "emptyDir": {}}], "extraVolumeMounts": []}
EXTREMES: dict[str, Object] = {
    "kompensa": {
        **ROOT,
        "engine": {
            **POD,
            **FILES_OF_OPERATOR,
            "replicas": 0,
            "resources": None,
            "proxy": {"exceptions": [], "existingSecret": {"name": "123", "keys": {"http": "1e3", "https": ""}}},
            "clientCertificate": {"existingSecret": {"name": "123", "keys": {"certificate": "null", "key": "on"}}},
        },
        "operator": {
            **POD,
            **FILES_OF_OPERATOR,
            "replicas": 0,
            "resources": {"limits": None, "requests": {"cpu": None}},
        },
        "replicas": WORKER,
        "image": IMAGE,
        "caBundle": {"secret": "123"},
        "watchNamespaces": [LONGEST_NAMESPACE],
        "networkPolicy": {
            **egress("dns", "apiServer", "participants", "databases", "kafka", "connect", "tracing"),
            "apiFrom": [PEER],
            "metricsFrom": [PEER],
        },
        "postgres": {**ROOT, **POD, "image": IMAGE, "resources": None},
    },
    "backbone": {
        **ROOT,
        "kafka": {**POD, "image": IMAGE, "resources": None, "external": {"enabled": True, "host": "2001:db8::1"}},
        "connect": {**POD, "image": IMAGE, "resources": None},
        "networkPolicy": {**egress("dns", "databases", "kafka"), "kafkaFrom": [PEER], "connectFrom": [PEER]},
    },
    "postgres": {
        **ROOT,
        **POD,
        "image": IMAGE,
        "resources": None,
        "databases": [{"database": "d" * 63, "owner": "o" * 63, "secret": "s" * 253}, {"database": "_"[:1] + "d"}],
        "storage": {"keep": False, "className": "1e3"},
        "networkPolicy": {"from": [PEER]},
    },
    "shop": {
        **ROOT,
        "services": {
            "orders": service(**external("1e3"), existingCaptureSecret={"name": "123"}),
            "inventory": service(
                existingCaptureSecret={"name": "789"}, instance={**POD, "resources": None, "storage": {"keep": False}}
            ),
            "catalog": service(**external("2e3"), existingCaptureSecret={"name": "456"}),
            **{
                name: service(**external("null"), existingCaptureSecret={"name": "null"})
                for name in ("payments", "invoices", "shipping")
            },
        },
        "networkPolicy": {**egress("dns", "databases", "kafka", "tracing"), "callers": [PEER], "metricsFrom": [PEER]},
        "kompensa": {"namespace": LONGEST_NAMESPACE, "topicPrefix": "1."},
    },
}
CASES = [
    (chart, name, values)
    for chart in INSTALLED
    for name, values in (("defaults", {}), ("variant", VARIANTS[chart]), ("extremes", EXTREMES[chart]))
]
CASE_IDS = [f"{chart}-{name}" for chart, name, _ in CASES]


def umbrella(folder: Path) -> Path:
    """A chart with all our charts as subcharts, two of them under an alias."""
    chart = folder / "umbrella"
    (chart / "charts").mkdir(parents=True)
    for name in INSTALLED:
        (chart / "charts" / name).symlink_to(CHARTS / name)
    aliases = {"kompensa": "sagas", "backbone": "events"}
    dependencies = [
        {"name": name, "version": "0.1.0", **({"alias": aliases[name]} if name in aliases else {})}
        for name in INSTALLED
    ]
    metadata = {"apiVersion": "v2", "name": "umbrella", "version": "1.0.0", "dependencies": dependencies}
    (chart / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    (chart / "values.yaml").write_text(yaml.safe_dump(UMBRELLA_VALUES))
    return chart


UMBRELLA_VALUES: Object = {
    "global": {"imageRegistry": "registry.example:5000", "imagePullSecrets": [{"name": "registry-login"}]},
    # The instance of the journal and the chart postgres would otherwise have the same name.
    "sagas": {
        "postgres": {"fullnameOverride": "journal"},
        "kafka": {"bootstrap": "whole-events-kafka.whole.svc:9092"},
        "connect": {"url": "http://whole-events-connect.whole.svc:8083"},
    },
    "events": {"capture": {"operator": {"serviceAccount": "whole-sagas-operator"}}},
    "shop": {"kompensa": {"namespace": "whole", "connectNamespace": "whole"}},
    "postgres": {"databases": [{"database": "crm"}]},
}
