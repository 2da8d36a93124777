"""A cluster in each state: found healthy, repaired or made; asked of the engine, kind and kubectl."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from images.cluster import kind, load
from images.cluster.kind import KindCluster, State
from images.node.image import NodeImage
from images.setup.cache import Cache
from images.setup.engine import Engine
from images.setup.errors import CommandFailed, SetupError
from images.setup.stages import Report
from images.tests.tools import Tools, printed

# The cluster is the file `cluster`: absent, or what the node is in: running, busy (answers at the third question),
# stopped. `ports` is what the engine publishes for it.
KIND = """
here={folder}
case "$1 $2" in
"get clusters") test ! -e $here/cluster || echo kompensa ;;
"create cluster") test ! -e $here/refuses || exit 1; echo running > $here/cluster; cp $here/wanted $here/ports ;;
"delete cluster") rm -f $here/cluster ;;
"load image-archive") ls "$(dirname "$3")" > $here/loaded ;;
esac
"""
KUBECTL = """
here={folder}
case "$(cat $here/cluster)" in
busy) echo x >> $here/asked; test "$(wc -l < $here/asked)" -ge 3 || exit 1 ;;
running) ;;
*) exit 1 ;;
esac
echo True
"""
DOCKER = """
here={folder}
case "$*" in
*State.Running*) test "$(cat $here/cluster)" = stopped && echo false || echo true ;;
*NetworkSettings.Ports*) cat $here/ports ;;
*"image inspect"*) echo sha256:wanted ;;
*.Image*) cat $here/image ;;
*"images list"*) cat $here/on-node ;;
"save "*) : > "$3" ;;
esac
"""
PORT = "19981"
CONFIG = f"- {{listenAddress: 127.0.0.1, hostPort: {PORT}, containerPort: 30081}}  # orders\n"
PUBLISHED = json.dumps({"30081/tcp": [{"HostIp": "127.0.0.1", "HostPort": PORT}]})


@pytest.fixture
def there(tools: Tools, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the stand-ins keep the cluster's state."""
    folder = tmp_path / "there"
    folder.mkdir()
    tools.add("docker", DOCKER.format(folder=folder))
    for name, script in (("kind", KIND), ("kubectl", KUBECTL)):
        tools.add(name, script.format(folder=folder), folder=cache.bin)
    (folder / "wanted").write_text(PUBLISHED)
    (folder / "image").write_text("wanted")  # podman's way to write it; docker says sha256:wanted
    (folder / "cluster.yaml").write_text(CONFIG)
    monkeypatch.setattr(kind, "CONFIG", folder / "cluster.yaml")
    monkeypatch.setattr(kind, "MODULES", tmp_path)
    monkeypatch.setattr(kind, "RETRY_SECONDS", 0.0)
    return folder


@pytest.fixture
def cluster(there: Path, cache: Cache) -> KindCluster:
    return KindCluster(Engine("docker"), cache)


def found(there: Path, node: str, published: str = PUBLISHED) -> None:
    (there / "cluster").write_text(f"{node}\n")
    (there / "ports").write_text(published)


def up(cluster: KindCluster, report: Report) -> str:
    """Bring it up; what was said, without the duration."""
    cluster.up(NodeImage("node:1", ours=True), report)
    return printed(report).partition(" s  ")[2].rstrip()


def made(tools: Tools) -> bool:
    return bool(tools.calls("kind create cluster"))


def test_an_absent_cluster_is_made_from_the_node_image(
    cluster: KindCluster, report: Report, tools: Tools, there: Path
) -> None:
    assert cluster.state() is State.ABSENT
    assert up(cluster, report) == "created"
    assert cluster.state() is State.HEALTHY
    (create,) = tools.calls("kind create")
    assert "--image node:1" in create
    assert f"--config {there / 'cluster.yaml'}" in create


def test_a_healthy_cluster_is_left_alone_and_cut_off_again(
    cluster: KindCluster, report: Report, tools: Tools, there: Path
) -> None:
    found(there, "running")
    assert up(cluster, report) == "found healthy"
    assert not tools.calls("kind create")
    assert not tools.calls("kind delete")
    assert tools.calls("docker exec --interactive kompensa-control-plane sh -s"), "its way out is taken each time"


def test_a_cluster_of_another_node_image_is_kept_and_reported(
    cluster: KindCluster, report: Report, tools: Tools, there: Path
) -> None:
    """Its data is worth more than the version; the report shows how to get the other version."""
    found(there, "running")
    (there / "image").write_text("sha256:older")
    assert up(cluster, report).startswith("found healthy, but made from another node image")
    assert not made(tools)


def test_a_stopped_node_is_recreated_and_its_loss_is_reported(
    cluster: KindCluster, report: Report, tools: Tools, there: Path
) -> None:
    found(there, "stopped")
    assert cluster.state() is State.BROKEN
    assert up(cluster, report) == "was half-dead: recreated, its data is gone"
    order = [call.split()[1] for call in tools.calls("kind") if call.split()[1] in ("delete", "create")]
    assert order == ["delete", "create"]


def test_a_busy_node_is_waited_for_and_keeps_its_data(
    cluster: KindCluster, report: Report, tools: Tools, there: Path
) -> None:
    found(there, "busy")
    assert up(cluster, report) == "found healthy"
    assert not made(tools)


def test_a_cluster_without_a_published_port_is_made_anew(
    cluster: KindCluster, report: Report, tools: Tools, there: Path
) -> None:
    """It answers kubectl and would be called healthy, while a service could not be reached from the host."""
    found(there, "running", '{"30080/tcp":[{"HostIp":"127.0.0.1","HostPort":"18080"}]}')
    assert cluster.state() is State.UNREACHABLE
    assert up(cluster, report) == "was without some of its ports: recreated, its data is gone"
    assert cluster.state() is State.HEALTHY


def test_an_engine_that_does_not_tell_its_ports_costs_nobody_a_cluster(
    cluster: KindCluster, report: Report, tools: Tools, there: Path
) -> None:
    found(there, "running", "")
    assert up(cluster, report) == "found healthy"
    assert not made(tools)


def test_a_taken_port_stops_it_before_a_cluster_is_made(
    cluster: KindCluster, report: Report, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("images.cluster.ports.is_free", lambda port: False)
    with pytest.raises(SetupError, match=f"127.0.0.1:{PORT} .orders. by"):
        up(cluster, report)
    assert not made(tools)


def test_a_failed_creation_can_be_tried_again(cluster: KindCluster, report: Report, there: Path) -> None:
    (there / "refuses").touch()
    with pytest.raises(CommandFailed, match="kind create cluster"):
        up(cluster, report)
    (there / "refuses").unlink()
    cluster.up(NodeImage("node:1", ours=True), report)
    assert cluster.state() is State.HEALTHY


def test_deleting_takes_the_kubeconfig_along_and_can_be_repeated(
    cluster: KindCluster, report: Report, there: Path
) -> None:
    found(there, "running")
    cluster.kubeconfig.write_text("{}")
    with report.stage("cluster") as stage:
        cluster.delete(stage.runner)
        cluster.delete(stage.runner)
    assert cluster.state() is State.ABSENT
    assert not cluster.kubeconfig.exists()


def test_only_images_that_the_node_lacks_are_loaded_in_one_archive(
    cluster: KindCluster, report: Report, tools: Tools, there: Path
) -> None:
    (there / "on-node").write_text("localhost/kompensa/kafka:1\nregistry.k8s.io/pause:3.10\n")
    wanted = ["localhost/kompensa/orders:2", "localhost/kompensa/kafka:1", "localhost/kompensa/connect:1"]
    missing = load.lacking(wanted, load.on_node(cluster.engine))
    assert missing == ["localhost/kompensa/connect:1", "localhost/kompensa/orders:2"]
    with report.stage("load") as stage:
        load.load(cluster, missing, stage.runner)
    (save,) = tools.calls("docker save")
    assert save.endswith(" ".join(missing))
    assert len(tools.calls("kind load")) == 1
    assert not list((cluster.cache.root / "tmp").iterdir()), "the archive is gone"
