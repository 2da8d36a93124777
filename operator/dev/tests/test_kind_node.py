"""Killing a pod's processes from its node, which is a container: which container, and which command in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kompensa_dev.kind_node import KindNode

UID = "0b6e9c1e-5f0a-4f5e-9d2a-9f0c4b1a7e11"
# A node whose containerd knows two containers of that pod; the second has ended already.
NODE = """#!/bin/sh
shift 2
PATH="$(dirname "$0"):$PATH" exec "$@"
"""
CTR = """#!/bin/sh
echo "$*" >> "$(dirname "$0")/calls"
case "$*" in
*containers*) case "$*" in *0b6e9c1e*) printf 'first\\nsecond\\n' ;; esac ;;
*second) exit 1 ;;
esac
"""


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    for name, script in (("engine", NODE), ("ctr", CTR)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("provider_id", "node"),
    [
        ("kind://podman/kompensa/kompensa-control-plane", KindNode("podman", "kompensa-control-plane")),
        ("kind://docker/other/other-worker", KindNode("docker", "other-worker")),
        ("kind://nerdctl/kompensa/kompensa-control-plane", None),
        ("kind://docker/short", None),
        ("aws:///eu-west-1a/i-0123456789abcdef0", None),
        ("", None),
        (None, None),
    ],
)
def test_only_nodes_of_kind_are_containers_here(provider_id: str | None, node: KindNode | None) -> None:
    assert KindNode.of(provider_id) == node


def test_every_container_of_the_pod_gets_sigkill(engine: Path) -> None:
    assert KindNode(str(engine / "engine"), "node").kill(UID)
    listed, *killed = (engine / "calls").read_text().splitlines()
    assert UID in listed
    assert killed == [f"--namespace k8s.io tasks kill --signal SIGKILL {name}" for name in ("first", "second")]


def test_a_pod_without_a_running_container_was_not_killed(engine: Path) -> None:
    assert not KindNode(str(engine / "engine"), "node").kill("another")


def test_a_node_that_refuses_is_an_error(engine: Path) -> None:
    (engine / "ctr").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(subprocess.CalledProcessError):
        KindNode(str(engine / "engine"), "node").kill(UID)
