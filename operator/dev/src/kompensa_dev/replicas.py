"""Replica workers as local processes: one a Replica, as the operator runs one Deployment a Replica."""

import json
import sys
from dataclasses import dataclass

from kompensa.manifests.documents import Document
from kompensa_dev.capture import login_of_secret
from kompensa_dev.http import answers_ok
from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run
from kompensa_dev.shop import Logins

READY_SECONDS = 60.0


@dataclass(frozen=True)
class ReplicaWorker:
    """A running worker; `url` is where its /status is."""

    document: Document
    process: Process
    url: str


def start_replica(run: Run, document: Document, logins: Logins, kafka: KafkaBroker) -> ReplicaWorker:
    """Start a worker and wait until it keeps its copy.

    Raises
    ------
    DevError
        When the Replica names an unknown Secret, or the worker does not become ready.
    """
    secret = (document.spec.get("target") or {}).get("databaseSecretRef") or {}
    login = login_of_secret(logins, document, secret.get("name", ""))
    spec = run.subfolder("replicas") / f"{document.namespace}.{document.name}.json"
    spec.write_text(json.dumps(document.object), encoding="utf-8")
    port = Ports().take(document.name)
    environment = {
        "KOMPENSA_KAFKA": kafka.bootstrap,
        "REPLICA_SPEC": str(spec),
        "DATABASE_URL": login.url,
        "STATUS_HOST": HOST,
        "STATUS_PORT": str(port),
    }
    argv = [sys.executable, "-m", "kompensa_cdc.main", "replica"]
    process = run.start(Program(name=f"replica-{document.name}", argv=argv, environment=environment, tier=2))
    url = f"http://{HOST}:{port}"
    process.wait_ready(lambda: answers_ok(f"{url}/readyz"), what="being ready", timeout=READY_SECONDS)
    return ReplicaWorker(document, process, url)
