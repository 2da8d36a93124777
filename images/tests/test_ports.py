"""The published ports: read from kind's file, free before a cluster is made, and the engine's own afterwards."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.cluster import ports
from images.cluster.kind import CONFIG
from images.cluster.listeners import listener_on
from images.cluster.ports import HostPort
from images.setup.errors import SetupError

LOOPBACK = "127.0.0.1"
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who listens on Linux only")


@pytest.fixture
def taken() -> Iterator[HostPort]:
    """A port on which this very process listens."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield HostPort(LOOPBACK, server.getsockname()[1], 30081, "orders")


@pytest.fixture
def free(taken: HostPort) -> HostPort:
    """A port on which a server has just stopped listening."""
    with socket.create_server((LOOPBACK, 0)) as server:
        number = server.getsockname()[1]
        with socket.create_connection((LOOPBACK, number)):
            server.accept()[0].close()
    return HostPort(LOOPBACK, number, 30082, "inventory")


def test_our_own_file_names_every_port_and_what_is_behind_it() -> None:
    found = ports.ports_of(CONFIG.read_text())
    assert {str(port): port.node_port for port in found}["127.0.0.1:18081"] == 30081
    assert all(port.purpose for port in found)
    assert {port.address for port in found} == {LOOPBACK}, "nothing is published to the network"


def test_a_port_written_another_way_is_not_overlooked() -> None:
    with pytest.raises(SetupError, match="write each port as"):
        ports.ports_of("extraPortMappings:\n- hostPort: 18080\n  containerPort: 30080\n")


def test_a_port_is_free_again_once_its_server_is_gone(free: HostPort) -> None:
    ports.require_free([free])


@needs_proc
def test_a_taken_port_is_named_with_its_process_and_what_to_do(taken: HostPort, free: HostPort) -> None:
    with pytest.raises(SetupError) as told:
        ports.require_free([free, taken])
    said = str(told.value)
    assert f"{taken} (orders) by " in said
    assert f"(pid {os.getpid()})" in said
    assert str(free) not in said
    assert "Stop what holds them, or change hostPort in manifests/kind/cluster.yaml" in said


def test_a_port_that_another_address_holds_is_taken_too() -> None:
    with socket.create_server(("", 0)) as server:
        assert not ports.is_free(HostPort(LOOPBACK, server.getsockname()[1], 30081, ""))


@needs_proc
def test_a_process_of_ours_on_a_running_clusters_port_is_told_apart_from_the_engine(taken: HostPort) -> None:
    with pytest.raises(SetupError, match="orders"):
        ports.require_ours([taken])


@pytest.mark.parametrize("program", ["conmon", "docker-proxy", "rootlessport", "exe"])
def test_the_engines_own_processes_may_hold_them(
    taken: HostPort, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc = proc_of(tmp_path, taken.number, program)
    monkeypatch.setattr("images.cluster.ports.listener_on", lambda number: listener_on(number, proc))
    ports.require_ours([taken])


def proc_of(folder: Path, port: int, program: str) -> Path:
    """A /proc in which process 77 listens on the port."""
    (folder / "net").mkdir()
    line = f"0: 0100007F:{port:04X} 00000000:0000 0A 0:0 00:0 0 0 0 4242 1"
    (folder / "net/tcp").write_text(f"sl local remote st queue tr retrnsmt uid timeout inode\n{line}\n")
    (folder / "77/fd").mkdir(parents=True)
    (folder / "77/fd/3").symlink_to("socket:[4242]")
    (folder / "77/comm").write_text(f"{program}\n")
    return folder


def test_whoever_listens_is_found_by_name_and_number(tmp_path: Path) -> None:
    proc = proc_of(tmp_path, 18081, "nginx")
    assert str(listener_on(18081, proc)) == "nginx (pid 77)"
    assert listener_on(18082, proc) is None
    assert listener_on(18081, tmp_path / "elsewhere") is None, "no /proc, no name"


@pytest.mark.parametrize(
    ("published", "lacking"),
    [
        ('{"30081/tcp":[{"HostIp":"127.0.0.1","HostPort":"18081"}]}', []),
        ('{"30081/tcp":[{"HostIp":"127.0.0.1","HostPort":"28081"}]}', ["127.0.0.1:18081"]),
        ('{"30081/tcp":null,"6443/tcp":[{"HostIp":"127.0.0.1","HostPort":"18081"}]}', ["127.0.0.1:18081"]),
        ("{}", ["127.0.0.1:18081"]),
        ("null", ["127.0.0.1:18081"]),
    ],
)
def test_what_the_engine_publishes_is_compared_by_both_ends(published: str, lacking: list[str]) -> None:
    wanted = [HostPort(LOOPBACK, 18081, 30081, "orders")]
    assert [str(port) for port in ports.unpublished(wanted, published)] == lacking
