"""kubectl for tests: the same tool a user has, with waits on conditions and errors that show what was said."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.http import UnexpectedAnswer


class KubectlError(RuntimeError):
    """kubectl refused: the message is its own, which is what a user would read."""


@dataclass(frozen=True)
class Kubectl:
    """Runs kubectl against one cluster. `environment` holds KUBECONFIG and PATH, as `python3 -m images env` gives."""

    environment: Mapping[str, str]

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 60) -> str:
        done = self._ended(arguments, stdin, timeout)
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def warnings(self, *arguments: str) -> str:
        """Return the API server's warnings about a command that succeeds."""
        done = self._ended(arguments, None, 60)
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stderr.strip()

    def may(self, verb: str, what: str, account: str) -> bool:
        """Whether the account has the right, in any way that the API server knows."""
        asked = ("auth", "can-i", verb, what, "--as", account, "--all-namespaces")
        return self._ended(asked, None, 60).stdout.strip() == "yes"

    def _ended(self, arguments: Sequence[str], stdin: str | None, timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["kubectl", *arguments],
            input=stdin,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def json(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*arguments, "-o", "json"))
        return found

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json("get", *arguments)["items"]
        return found

    def apply(self, manifest: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
        objects = [manifest] if isinstance(manifest, Mapping) else list(manifest)
        listing = {"apiVersion": "v1", "kind": "List", "items": objects}
        return self.run("apply", "-f", "-", stdin=json.dumps(listing))

    def create(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        created: dict[str, Any] = json.loads(self.run("create", "-f", "-", "-o", "json", stdin=json.dumps(manifest)))
        return created

    def secret(self, name: str, namespace: str) -> dict[str, str]:
        """The Secret's keys with their values in plain."""
        data = self.json("get", "secret", "-n", namespace, name)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def wait(self, what: str, condition: str, *, namespace: str, seconds: int = 90) -> None:
        """`kubectl wait` for a condition that shall be True, as `Ready`, or otherwise, as `Ready=False`."""
        limit = f"--timeout={seconds}s"
        self.run("wait", "-n", namespace, what, f"--for=condition={condition}", limit, timeout=seconds + 10)

    def execute(self, namespace: str, pod: str, *command: str, stdin: str | None = None) -> str:
        interactive = ["-i"] if stdin is not None else []
        return self.run("exec", *interactive, "-n", namespace, pod, "--", *command, stdin=stdin)


UNSETTLED = (KubectlError, UnexpectedAnswer, OSError, subprocess.TimeoutExpired, ValueError)
"""Errors that mean "not yet" while pods are being killed."""
