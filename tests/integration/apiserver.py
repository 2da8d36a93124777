"""A real API server without a cluster: etcd and kube-apiserver as local processes on free loopback ports.

It stores, validates (CEL rules included), watches, authorises and audits as a cluster's does; nothing schedules or
runs pods. The programs come from the same cache as the node image's. Audit lines are how tests count writes.
"""

import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from images.setup import go
from images.setup.cache import Cache, default_root
from images.setup.commands import Runner
from images.setup.versions import load_versions
from kompensa_dev.ports import Ports
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run

ADMIN = "admin-token"
OPERATOR = "operator-token"
ENGINE = "engine-token"
SYSTEM = "kompensa-system"

_USERS = (
    (ADMIN, "admin", "system:masters"),
    (OPERATOR, f"system:serviceaccount:{SYSTEM}:kompensa-operator", "system:serviceaccounts"),
    (ENGINE, f"system:serviceaccount:{SYSTEM}:kompensa-engine", "system:serviceaccounts"),
)
_AUDIT_POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
_WRITES = ("create", "update", "patch", "delete", "deletecollection")
START_SECONDS = 60.0


@dataclass
class ApiServer:
    """etcd and kube-apiserver of one run; `stop_serving` and `start` keep what is stored, and the address."""

    run: Run
    programs: Path
    etcd_program: Path
    port: int
    etcd_port: int
    peer_port: int
    _etcd: Process | None = None
    _server: Process | None = None

    @property
    def folder(self) -> Path:
        return self.run.subfolder("apiserver")

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    def kubeconfig(self, token: str) -> Path:
        """A kubeconfig for one of the users ADMIN, OPERATOR, ENGINE."""
        path = self.folder / f"kubeconfig-{token}"
        cluster = {"server": self.url, "certificate-authority": str(self.folder / "certificates/apiserver.crt")}
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "test",
                    "clusters": [{"name": "test", "cluster": cluster}],
                    "users": [{"name": "test", "user": {"token": token}}],
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
                }
            )
        )
        return path

    def prepare(self) -> None:
        """Files that both processes read at start."""
        tokens = "".join(f'{token},{user},{user},"{group}"\n' for token, user, group in _USERS)
        (self.folder / "tokens.csv").write_text(tokens)
        (self.folder / "audit-policy.yaml").write_text(yaml.safe_dump(_AUDIT_POLICY))
        key = self.folder / "service-account.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True, timeout=60)

    def start(self) -> None:
        """Start what is not running and wait until it serves."""
        if self._etcd is None:
            self._etcd = self.run.start(Program(name="etcd", argv=self._etcd_command(), tier=0))
        if self._server is None:
            self._server = self.run.start(Program(name="apiserver", argv=self._server_command(), tier=1))
        self._server.wait_ready(self._serves, what="serving /readyz", timeout=START_SECONDS)

    def stop_serving(self) -> None:
        """End kube-apiserver only, as a crash would; `start` brings it back with all it had."""
        if self._server is not None:
            self._server.kill()
            self._server = None

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """kubectl as administrator; returns its output, errors included when `check` is off."""
        command = [str(self.programs / "kubectl"), "--kubeconfig", str(self.kubeconfig(ADMIN)), *arguments]
        environment = {**os.environ, "GOGC": "off"}  # a call ends before a collection would pay off
        done = subprocess.run(
            command, input=stdin, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout if check else done.stdout + done.stderr

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def writes(self, resource: str, name: str | None = None) -> Iterator[dict[str, Any]]:
        """Audited writes of a kind, or of one object, that the API server has answered with success."""
        for line in self.audit_log.read_text().splitlines():
            entry = json.loads(line)
            about = entry.get("objectRef") or {}
            if (
                entry["stage"] == "ResponseComplete"
                and entry["verb"] in _WRITES
                and about.get("resource") == resource
                and name in (None, about.get("name"))
                and entry["responseStatus"].get("code", 500) < 400
            ):
                yield entry

    def _serves(self) -> bool:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        request = urllib.request.Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {ADMIN}"})
        try:
            with urllib.request.urlopen(request, timeout=2, context=context) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _etcd_command(self) -> list[str]:
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.peer_port}"
        return [
            str(self.etcd_program),
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        ]

    def _server_command(self) -> list[str]:
        key = self.folder / "service-account.key"
        return [
            str(self.programs / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            f"--cert-dir={self.folder / 'certificates'}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            f"--secure-port={self.port}",
            "--service-cluster-ip-range=10.0.0.0/24,fd00:6b::/112",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            # No controller manager makes ServiceAccounts or default tokens here.
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={self.folder / 'audit-policy.yaml'}",
            f"--audit-log-path={self.audit_log}",
        ]


def built(run: Run, ports: Ports) -> ApiServer:
    """An API server that is not started yet, with its programs taken from the cache or built into it."""
    versions, cache = load_versions(), Cache(default_root(os.environ))
    runner = Runner(run.logs / "build.log")
    server = ApiServer(
        run,
        programs=go.build(go.kubernetes(versions), cache, versions, runner),
        etcd_program=go.build(go.etcd(), cache, versions, runner) / "etcd",
        port=ports.take("apiserver"),
        etcd_port=ports.take("etcd"),
        peer_port=ports.take("etcd-peer"),
    )
    server.prepare()
    return server
