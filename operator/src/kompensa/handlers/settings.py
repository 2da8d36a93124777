"""The operator's settings, from environment variables."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

import msgspec

from kompensa.cluster.worker_site import WorkerPod
from kompensa_common.logs import level_of
from kompensa_common.secrets import UnusableValueError, meant


class InvalidSettingError(ValueError):
    """A variable is missing or has an invalid value; the message names it and the expected values."""


@dataclass(frozen=True, kw_only=True)
class OperatorSettings:
    """Addresses of the other parts, the namespaces to watch, and the settings of Replicas' workers.

    Attributes
    ----------
    namespaces
        The namespaces to watch; empty means all of them.
    capture_folder
        The folder in which Connect mounts `capture_secret`.
    capture_credentials
        Directory: connectors name keys of `capture_secret`, which Connect mounts. Inline: passwords are written into
        the connector's configuration, where anyone who reaches Connect's REST API can read them.
    replica_pod
        How the pods of Replicas' workers are pulled, placed and bounded.
    replica_url
        URL of a worker's HTTP port; `{name}` and `{namespace}` are those of its Service.
    tracing_endpoint
        The receiver of the workers' spans (OTLP over HTTP); empty: they send none.
    lease_name
        The Lease that operators of one release contend for; another release has another.
    identity
        This process's name in the Lease.
    """

    engine_url: str
    engine_token: str | None = None
    kafka: str = ""
    connect_url: str = ""
    connect_namespace: str = ""
    connect_pod_selector: str = "app.kubernetes.io/component=connect"
    capture_secret: str = "kompensa-capture"  # noqa: S105 -- a name
    capture_folder: str = "/etc/kompensa/capture"
    capture_credentials: Literal["Directory", "Inline"] = "Directory"
    replica_image: str = ""
    replica_pod: WorkerPod = field(default_factory=WorkerPod)
    replica_url: str = "http://{name}.{namespace}.svc:8080"
    tracing_endpoint: str = ""
    namespaces: tuple[str, ...] = ()
    lease_namespace: str = "default"
    lease_name: str = "kompensa-operator"
    identity: str = ""
    probe_host: str = ""  # all addresses, IPv4 and IPv6: the kubelet asks from outside the pod
    probe_port: int = 8081
    log_level: str = "info"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the KOMPENSA_* variables.

        Raises
        ------
        InvalidSettingError
            Naming the variable.
        """
        credentials = environment.get("KOMPENSA_CAPTURE_CREDENTIALS") or "Directory"
        if credentials not in ("Directory", "Inline"):
            raise InvalidSettingError(f"KOMPENSA_CAPTURE_CREDENTIALS is {credentials!r}: expected Directory or Inline")
        watched = environment.get("KOMPENSA_WATCH_NAMESPACES", "")
        given = {field: _text(environment, name) for field, name in _PLAIN.items() if environment.get(name)}
        return cls(
            engine_url=_required(environment, "KOMPENSA_API_URL", "for example http://kompensa-api:8080"),
            capture_credentials="Inline" if credentials == "Inline" else "Directory",
            namespaces=tuple(name.strip() for name in watched.split(",") if name.strip()),
            identity=environment.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}",
            log_level=_log_level(environment),
            replica_pod=_worker_pod(environment),
            probe_port=_port(environment, "KOMPENSA_PROBE_PORT", 8081),
            **given,
        )


_PLAIN = {
    "engine_token": "KOMPENSA_API_TOKEN",
    "kafka": "KOMPENSA_KAFKA",
    "connect_url": "KOMPENSA_CONNECT_URL",
    "connect_namespace": "KOMPENSA_CONNECT_NAMESPACE",
    "connect_pod_selector": "KOMPENSA_CONNECT_POD_SELECTOR",
    "capture_secret": "KOMPENSA_CAPTURE_SECRET",
    "capture_folder": "KOMPENSA_CAPTURE_FOLDER",
    "replica_image": "KOMPENSA_REPLICA_IMAGE",
    "replica_url": "KOMPENSA_REPLICA_URL",
    "tracing_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "lease_namespace": "KOMPENSA_LEASE_NAMESPACE",
    "lease_name": "KOMPENSA_LEASE_NAME",
    "probe_host": "KOMPENSA_PROBE_HOST",
}


def _text(environment: Mapping[str, str], name: str) -> str:
    try:
        return meant(environment[name], name)
    except UnusableValueError as error:
        raise InvalidSettingError(str(error)) from None


_POD_FIELDS = WorkerPod.__struct_encode_fields__


def _required(environment: Mapping[str, str], name: str, example: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise InvalidSettingError(f"{name} is not set: the operator needs it, {example}")
    return value


def _log_level(environment: Mapping[str, str]) -> str:
    try:
        return level_of(environment.get("LOG_LEVEL"))
    except ValueError as error:
        raise InvalidSettingError(str(error)) from None


def _worker_pod(environment: Mapping[str, str]) -> WorkerPod:
    try:
        return msgspec.json.decode(environment.get("KOMPENSA_REPLICA_POD") or "{}", type=WorkerPod)
    except msgspec.DecodeError as error:
        raise InvalidSettingError(
            f"KOMPENSA_REPLICA_POD cannot be read ({error}): expected JSON with {', '.join(_POD_FIELDS)}, each as in a "
            "Kubernetes pod; the chart writes it from its values image, imagePullSecrets and replicas"
        ) from error


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name) or str(default)
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise InvalidSettingError(f"{name} is {value!r}: expected a port number")
    return int(value)
