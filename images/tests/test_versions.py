"""versions.toml, and the files next to it that repeat its versions with checksums."""

import re
from collections.abc import Mapping

import pytest

from images.setup import jars
from images.setup.errors import SetupError
from images.setup.versions import IMAGES, VERSIONS_FILE, load_versions, parse_versions

VERSIONS = load_versions()
MODULES: Mapping[str, tuple[str, str]] = {
    "kind": ("sigs.k8s.io/kind", VERSIONS.kind),
    "kubernetes": ("k8s.io/kubernetes", VERSIONS.kubernetes),
    "etcd": ("go.etcd.io/etcd/server/v3", VERSIONS.etcd),
    "coredns": ("github.com/coredns/coredns", VERSIONS.coredns),
    "helm": ("helm.sh/helm/v3", VERSIONS.helm),
}


@pytest.mark.parametrize("folder", MODULES)
def test_go_modules_build_the_pinned_version(folder: str) -> None:
    module, version = MODULES[folder]
    text = (IMAGES / folder / "go.mod").read_text()
    assert re.search(rf"^\s*(require )?{re.escape(module)} v{re.escape(version)}\b", text, re.MULTILINE), text[:200]


@pytest.mark.parametrize("folder", MODULES)
def test_no_module_asks_for_a_newer_go_than_the_one_that_is_brought(folder: str) -> None:
    asked = re.search(r"^go (\d+)\.(\d+)", (IMAGES / folder / "go.mod").read_text(), re.MULTILINE)
    assert asked is not None
    assert (int(asked[1]), int(asked[2])) <= tuple(int(part) for part in VERSIONS.go_minimum.split("."))


@pytest.mark.parametrize(
    ("folder", "name", "version"),
    [
        ("kafka", "kafka.version", VERSIONS.kafka),
        ("connect", "kafka.version", VERSIONS.kafka),
        ("debezium", "debezium.version", VERSIONS.debezium),
    ],
)
def test_poms_fetch_the_pinned_version(folder: str, name: str, version: str) -> None:
    assert jars.property_of((IMAGES / folder / "pom.xml").read_text(), name) == version


@pytest.mark.parametrize("broken", [("[helm]", "[hlem]"), (f'version = "{VERSIONS.etcd}"', "version = 3")])
def test_an_entry_that_is_missing_or_no_text_is_named(broken: tuple[str, str]) -> None:
    text = VERSIONS_FILE.read_text()
    assert broken[0] in text
    with pytest.raises(SetupError, match=r"versions.toml: \[(helm|etcd)\] version must be a version string"):
        parse_versions(text.replace(*broken))
