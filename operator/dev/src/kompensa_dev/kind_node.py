"""A node of a kind cluster, which is a container on this machine: the place to end a pod as a crash would.

Deleting a pod, even with a grace of zero, lets the kubelet end it in good order; SIGKILL from inside never reaches
process 1. From the node it does.
"""

import subprocess
from dataclasses import dataclass

SECONDS = 60.0
ENGINES = ("docker", "podman")
# $1: the pod's uid. Prints the id of each container that was there to be killed.
_KILL = """
set -eu
here="labels.\\"io.kubernetes.pod.uid\\"==$1,labels.\\"io.cri-containerd.kind\\"==container"
containers=$(ctr --namespace k8s.io containers list --quiet "$here")
for id in $containers; do
  if ctr --namespace k8s.io tasks kill --signal SIGKILL "$id" 2>/dev/null; then echo "$id"; fi
done
"""


@dataclass(frozen=True)
class KindNode:
    """The container `name`, run by the container engine `program`."""

    program: str
    name: str

    @classmethod
    def of(cls, provider_id: str | None) -> "KindNode | None":
        """From a Node's `spec.providerID`, `kind://<container engine>/<cluster>/<container>`; None for any other."""
        scheme, _, rest = (provider_id or "").partition("://")
        parts = rest.split("/")
        if scheme != "kind" or len(parts) != 3 or parts[0] not in ENGINES:
            return None
        return cls(parts[0], parts[2])

    def kill(self, pod_uid: str) -> bool:
        """End every process of the pod by SIGKILL; False when none of its containers was running.

        Raises
        ------
        OSError, subprocess.SubprocessError
            When the container engine is not there, or the node does not do it within a minute.
        """
        command = [self.program, "exec", self.name, "sh", "-c", _KILL, "sh", pod_uid]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
        return bool(done.stdout.split())
