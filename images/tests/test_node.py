"""The parts of the node image that can be looked at without building one."""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from images.node import image, rootfs, system_images
from images.node.system_images import Programs
from images.setup.archive import ImageConfig, layer_of_files, write_archive
from images.setup.errors import SetupError
from images.setup.rootfs import RootFileSystem, mmdebstrap_command
from images.setup.versions import load_versions
from images.tests.tools import Tools

KUBEADM_LIST = "registry.k8s.io/kube-apiserver:v1.34.4\nregistry.k8s.io/etcd:3.6.5-0\nregistry.k8s.io/pause:3.10.1"
CONTAINERD = 'sandbox_image = "registry.k8s.io/pause:3.10"\n'


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    for name in ("kube-apiserver", "kube-proxy", "etcd", "coredns", "pause"):
        (tmp_path / name).write_text(name)
    with tarfile.open(tmp_path / "proxy.tar", "w") as tar:
        tar.add(tmp_path / "pause", arcname="./usr/sbin/iptables")
    return Programs(tmp_path, tmp_path, tmp_path, tmp_path / "pause", tmp_path / "proxy.tar")


def test_an_archive_is_what_engines_read(tmp_path: Path) -> None:
    (tmp_path / "program").write_text("#!")
    layer_of_files(tmp_path / "layer.tar", {"/usr/bin/program": tmp_path / "program"})
    config = ImageConfig(entrypoint=["/usr/bin/program"])
    write_archive(
        tmp_path / "image.tar", image="a/b:1", layer=tmp_path / "layer.tar", config=config, architecture="arm64"
    )
    with tarfile.open(tmp_path / "image.tar") as tar:
        (manifest,) = json.loads(member(tar, "manifest.json"))
        text = member(tar, manifest["Config"])
        layer = member(tar, manifest["Layers"][0])
    assert manifest["RepoTags"] == ["a/b:1"]
    assert manifest["Config"] == f"{hashlib.sha256(text).hexdigest()}.json"
    document = json.loads(text)
    assert document["architecture"] == "arm64"
    assert document["config"]["Entrypoint"] == ["/usr/bin/program"]
    assert document["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]


def member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


def test_a_layer_does_not_depend_on_when_or_by_whom_it_was_made(tmp_path: Path) -> None:
    digests = set()
    for number in range(2):
        program = tmp_path / f"program-{number}"
        program.write_text("same")
        program.chmod(0o600 + number)
        layer_of_files(tmp_path / "layer.tar", {"/bin/x": program})
        digests.add(hashlib.sha256((tmp_path / "layer.tar").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_node_gets_every_image_that_kubeadm_and_containerd_name(tools: Tools) -> None:
    kubeadm = tools.add("kubeadm", f"echo '{KUBEADM_LIST}'")
    names = system_images.wanted_names(kubeadm, "1.34.4", CONTAINERD)
    assert names == [*KUBEADM_LIST.split(), "registry.k8s.io/pause:3.10"]
    assert tools.calls("kubeadm")[0].endswith("--kubernetes-version v1.34.4")


@pytest.mark.parametrize(("script", "config"), [("exit 1", CONTAINERD), (f"echo '{KUBEADM_LIST}'", "")])
def test_a_node_without_a_list_of_images_is_not_built(tools: Tools, script: str, config: str) -> None:
    with pytest.raises(SetupError, match="list of images"):
        system_images.wanted_names(tools.add("kubeadm", script), "1.34.4", config)


def test_images_of_one_program_are_an_archive_each(programs: Programs, tmp_path: Path) -> None:
    target = tmp_path / "archives"
    target.mkdir()
    names = ["r/kube-apiserver:v1", "r/kube-proxy:v1", "r/pause:3.10", "r/pause:3.10.1"]
    system_images.write_archives(target, names, programs, "amd64")
    tagged = {}
    for path in sorted(target.iterdir()):
        with tarfile.open(path) as tar:
            (manifest,) = json.loads(member(tar, "manifest.json"))
            tagged[manifest["RepoTags"][0]] = manifest["Config"]
    assert list(tagged) == names
    assert tagged["r/pause:3.10"] == tagged["r/pause:3.10.1"]


def test_units_lose_what_a_small_machine_refuses() -> None:
    unit = "[Service]\nExecStart=/usr/local/bin/containerd\nLimitNOFILE=1048576\nOOMScoreAdjust=-999\nDelegate=yes\n"
    kept = rootfs.without_settings(unit, rootfs.REFUSED_SETTINGS)
    assert kept == "[Service]\nExecStart=/usr/local/bin/containerd\nDelegate=yes\n"


def test_pods_get_kinds_hook_and_no_limits_above_the_nodes_own() -> None:
    spec = rootfs.pod_spec({"ociVersion": "1.1", "process": {"cwd": "/", "rlimits": [{"type": "RLIMIT_NOFILE"}]}})
    assert spec["process"] == {"cwd": "/"}
    assert spec["ociVersion"] == "1.1"
    assert "mount-product-files.sh" in json.dumps(spec["hooks"])


def test_a_debian_is_known_by_everything_that_goes_into_it() -> None:
    one = RootFileSystem("node", "bookworm", ["systemd"])
    others = [
        RootFileSystem("node", "trixie", ["systemd"]),
        RootFileSystem("node", "bookworm", ["systemd", "jq"]),
        RootFileSystem("node", "bookworm", ["systemd"], purged=["usrmerge"]),
    ]
    assert len({one.key(), *(other.key() for other in others)}) == 4
    assert mmdebstrap_command(one, Path("x.tar"))[-2:] == ["bookworm", "x.tar"], "the mirror is the machine's own"


def test_the_nodes_name_changes_with_what_it_is_built_from() -> None:
    versions = load_versions()
    names = {
        image.own_image(versions),
        image.own_image(replace(versions, kubernetes="1.35.0")),
        image.own_image(replace(versions, debian_suite="trixie")),
    }
    assert len(names) == 3
