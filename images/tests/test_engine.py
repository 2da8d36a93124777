"""Which engine and node image serve: what answers here, unless the environment says otherwise."""

from __future__ import annotations

import resource

import pytest

from images.node import image as node_image
from images.setup import engine
from images.setup.cache import Cache
from images.setup.engine import Engine
from images.setup.errors import SetupError
from images.setup.stages import Report
from images.setup.versions import load_versions
from images.tests.tools import Tools, printed

ANSWERS = "echo here"
FAILS = "exit 1"


def detected(cache: Cache, **environment: str) -> str | None:
    found = engine.detect(cache, environment)
    return found.program if found else None


@pytest.mark.parametrize(
    ("docker", "podman", "chosen"),
    [(ANSWERS, ANSWERS, "docker"), (FAILS, ANSWERS, "podman"), (ANSWERS, FAILS, "docker"), (FAILS, FAILS, None)],
)
def test_docker_comes_first_and_only_what_answers_counts(
    cache: Cache, tools: Tools, docker: str, podman: str, chosen: str | None
) -> None:
    tools.add("docker", docker)
    tools.add("podman", podman)
    assert detected(cache) == chosen


def test_the_environment_chooses(cache: Cache, tools: Tools) -> None:
    tools.add("docker", ANSWERS)
    tools.add("podman", ANSWERS)
    assert detected(cache, CONTAINER_ENGINE="podman") == "podman"
    assert not tools.calls("docker")


def test_a_chosen_engine_that_fails_is_not_replaced_in_silence(cache: Cache, tools: Tools) -> None:
    tools.add("docker", ANSWERS)
    tools.add("podman", FAILS)
    with pytest.raises(SetupError, match=r"CONTAINER_ENGINE=podman, but `podman info` fails"):
        detected(cache, CONTAINER_ENGINE="podman")


def test_an_unknown_engine_is_refused_with_the_known_ones(cache: Cache, tools: Tools) -> None:
    with pytest.raises(SetupError, match="CONTAINER_ENGINE=nerdctl is not known; use docker or podman"):
        detected(cache, CONTAINER_ENGINE="nerdctl")


def test_podman_gets_a_configuration_of_ours_and_the_machines_stays(cache: Cache, tools: Tools) -> None:
    tools.add("podman", ANSWERS)
    found = engine.detect(cache, {"CONTAINER_ENGINE": "podman"})
    assert found is not None
    assert found.environment["CONTAINERS_CONF"] == str(cache.state / "containers.conf")
    assert found.environment["KIND_EXPERIMENTAL_PROVIDER"] == "podman"


@pytest.mark.parametrize(
    ("cgroup_v2", "runc", "open_files", "lines"),
    [
        (True, True, 1024, []),
        (False, True, 1024, ["[containers]", "nofile=1024:1024", "[engine]", 'runtime = "runc"']),
        (False, False, resource.RLIM_INFINITY, ["[containers]", "nofile=20000:20000"]),
    ],
)
def test_podman_is_given_what_the_machine_allows(
    cgroup_v2: bool, runc: bool, open_files: int, lines: list[str]
) -> None:
    text = engine.containers_conf(cgroup_v2=cgroup_v2, runc=runc, open_files=open_files)
    assert all(line in text for line in lines)
    assert bool(text) is bool(lines)


def test_the_environment_names_the_node_image(cache: Cache, tools: Tools, report: Report) -> None:
    tools.add("docker", FAILS)
    found = node_image.ensure(Engine("docker"), cache, load_versions(), report, {"NODE_IMAGE": "mine/node:1"})
    assert (found.name, found.ours, tools.calls()) == ("mine/node:1", False, [])


def test_our_node_image_is_used_where_it_was_built(cache: Cache, tools: Tools, report: Report) -> None:
    versions = load_versions()
    tools.add("docker", f'test "$5" = {node_image.own_image(versions)}')
    found = node_image.ensure(Engine("docker"), cache, versions, report, {})
    assert (found.name, found.ours) == (node_image.own_image(versions), True)


def test_docker_pulls_the_published_node_image(cache: Cache, tools: Tools, report: Report) -> None:
    versions = load_versions()
    tools.add("docker", 'test "$1" = pull')
    found = node_image.ensure(Engine("docker"), cache, versions, report, {})
    assert (found.name, found.ours) == (versions.published_node, False)


def test_where_nothing_can_be_pulled_nor_built_it_says_what_to_do(
    cache: Cache, tools: Tools, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    tools.add("docker", FAILS)
    with pytest.raises(SetupError, match=r"cannot be pulled.*run as root, or set NODE_IMAGE"):
        node_image.ensure(Engine("docker"), cache, load_versions(), report, {})
    assert "building our own" in printed(report)
