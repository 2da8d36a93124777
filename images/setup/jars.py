"""The jars of Kafka, Connect and the Debezium plugin, resolved by Maven from the three pom.xml files in images/.

Used twice: inside the images, and by `kompensa dev` and the integration tests as processes on this host.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from images.setup.cache import Cache
from images.setup.commands import Runner
from images.setup.digest import key_of
from images.setup.versions import IMAGES

NAMES = ("kafka", "connect", "debezium")


@dataclass(frozen=True)
class Jars:
    """Folders: jars of the broker, jars of the worker, and the worker's plugin path."""

    root: Path

    @property
    def kafka(self) -> Path:
        return self.root / "kafka"

    @property
    def connect(self) -> Path:
        return self.root / "connect"

    @property
    def plugins(self) -> Path:
        return self.root / "plugins"


def key() -> str:
    return key_of(*(IMAGES / name / "pom.xml" for name in NAMES), "layout 1")


def found(cache: Cache) -> Jars | None:
    """The jars when the cache has them."""
    root = cache.found("jars", key())
    return Jars(root) if root else None


def ensure(cache: Cache, runner: Runner) -> Jars:
    """The jars, resolved when they are not in the cache."""

    def resolve(folder: Path) -> None:
        for name in NAMES:
            goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder / name}"]
            runner.run(["mvn", "--batch-mode", "--quiet", "--file", IMAGES / name / "pom.xml", *goal])
        _unpack_plugin(folder / "debezium", folder / "plugins", runner)

    return Jars(cache.product("jars", key(), resolve))


def _unpack_plugin(downloaded: Path, plugins: Path, runner: Runner) -> None:
    plugins.mkdir()
    for archive in downloaded.iterdir():
        runner.run(["tar", "--extract", "-C", plugins, "-f", archive])
        archive.unlink()
    downloaded.rmdir()


def property_of(pom: str, name: str) -> str | None:
    """The value of <name> in a pom's properties."""
    found = re.search(rf"<{re.escape(name)}>([^<]+)</{re.escape(name)}>", pom)
    return found[1] if found else None
