"""Only images that the engine lacks are built, from the files that belong to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.setup import jars
from images.setup.build import ImageBuilder
from images.setup.cache import Cache
from images.setup.engine import Engine
from images.setup.errors import CommandFailed
from images.setup.stages import Report
from images.setup.versions import IMAGES, load_versions
from images.tests.tools import Tools, printed

# An engine that keeps its images as files, and each build context as it was given.
DOCKER = """
here="$(dirname "$0")"
case "$1" in
image) test -e "$here/has/$(echo "$5" | tr /: __)" ;;
build)
  while [ $# -gt 1 ]; do [ "$1" = --tag ] && tag="$2"; shift; done
  name="$(echo "$tag" | tr /: __)"
  if [ -e "$here/broken" ]; then echo "step 3: no space left" >&2; exit 1; fi
  mkdir -p "$here/contexts" && cp -R "$1" "$here/contexts/$name" && : > "$here/has/$name" ;;
esac
"""


@pytest.fixture
def engine(tools: Tools) -> Engine:
    tools.add("docker", DOCKER)
    (tools.folder / "has").mkdir()
    return Engine("docker")


@pytest.fixture
def builder(engine: Engine, cache: Cache, report: Report) -> ImageBuilder:
    def unpacked(folder: Path) -> None:
        for part in ("kafka", "connect", "plugins"):
            (folder / part).mkdir()
            (folder / part / f"{part}.jar").write_text(part)

    cache.product("jars", jars.key(), unpacked)
    return ImageBuilder(engine, cache, load_versions(), report)


def built(tools: Tools) -> list[str]:
    """Names of the images that were built, in order."""
    return [call.partition("kompensa-")[2].split()[0] for call in tools.calls("docker build")]


def test_what_is_there_is_not_built_again(builder: ImageBuilder, tools: Tools) -> None:
    first = builder.build(("kafka", "connect"))
    assert built(tools) == ["jre", "kafka", "connect"]
    assert builder.build(("kafka", "connect")) == first
    assert built(tools) == ["jre", "kafka", "connect"]


@pytest.mark.parametrize(
    ("pulls", "root_on_debian", "parent"),
    [(True, True, "published"), (False, True, "own"), (False, False, "published")],
)
def test_docker_without_a_registry_stands_on_a_debian_made_from_packages(
    builder: ImageBuilder,
    tools: Tools,
    monkeypatch: pytest.MonkeyPatch,
    pulls: bool,
    root_on_debian: bool,
    parent: str,
) -> None:
    registry = f'case "$1" in pull) exit {0 if pulls else 1} ;; import) exit 0 ;; esac'
    tools.add("docker", registry + DOCKER)
    monkeypatch.setattr("images.setup.packages.can_install", lambda: root_on_debian)
    monkeypatch.setattr("images.setup.packages.ensure", lambda *_: None)
    monkeypatch.setattr("images.setup.rootfs.RootFileSystem.tar", lambda *_: Path("/rootfs.tar"))
    builder.build(("kafka",))
    first = next(call for call in tools.calls("docker build") if "kompensa-jre" in call)
    wanted = {"published": "PARENT=debian:bookworm-slim", "own": "PARENT=localhost/kompensa/debian:"}[parent]
    assert wanted in first


def test_only_a_changed_image_is_built(
    builder: ImageBuilder, tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder.build(("kafka", "connect"))
    changed = tmp_path / "images"
    for folder in ("jre", "kafka", "connect"):
        (changed / folder).mkdir(parents=True)
        for file in (IMAGES / folder).iterdir():
            (changed / folder / file.name).write_bytes(file.read_bytes())
    (changed / "kafka/log4j2.xml").write_text("<other/>")
    for module in ("recipes", "build"):
        monkeypatch.setattr(f"images.setup.{module}.IMAGES", changed)
    builder.build(("kafka", "connect"))
    assert built(tools) == ["jre", "kafka", "connect", "kafka"]


def test_the_context_holds_the_recipes_files_and_its_jars(builder: ImageBuilder, tools: Tools) -> None:
    image = builder.build(("connect",))["connect"]
    context = tools.folder / "contexts" / image.replace("/", "_").replace(":", "_")
    found = sorted(path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file())
    assert found == ["Containerfile", "lib/connect.jar", "log4j2.xml", "plugins/plugins.jar"]


def test_an_image_stands_on_the_parent_that_was_just_built(builder: ImageBuilder, tools: Tools) -> None:
    builder.build(("kafka",))
    jre, kafka = tools.calls("docker build")
    assert f"PARENT={load_versions().published_debian}" in jre
    assert f"PARENT={jre.split('--tag ')[1].split()[0]}" in kafka
    assert "org.opencontainers.image.title=kompensa-kafka" in kafka


def test_a_failed_build_is_no_image_and_is_tried_again(builder: ImageBuilder, tools: Tools, report: Report) -> None:
    (tools.folder / "broken").touch()
    with pytest.raises(CommandFailed):
        builder.build(("kafka",))
    assert "step 3: no space left" in printed(report)
    (tools.folder / "broken").unlink()
    builder.build(("kafka",))
    assert built(tools) == ["jre", "jre", "kafka"]
