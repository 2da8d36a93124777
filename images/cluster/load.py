"""Putting images on the cluster's node: only those it lacks, in one archive.

Several images in one archive store the layers they share once.
"""

from collections.abc import Iterable

from images.cluster.kind import NAME, NODE, KindCluster
from images.setup.commands import Command, Runner
from images.setup.engine import Engine
from images.setup.errors import SetupError


def on_node(engine: Engine) -> set[str]:
    """Names of the images that the node's containerd has."""
    listed = engine.ask("exec", NODE, "ctr", "--namespace", "k8s.io", "images", "list", "--quiet")
    if listed is None:
        raise SetupError(f"cannot list the images on {NODE}; is the cluster up? Try `python3 -m images status`")
    return set(listed.split())


def lacking(wanted: Iterable[str], present: set[str]) -> list[str]:
    """Return the images to load, in a stable order and once each."""
    return sorted({image for image in wanted if image not in present})


def load(cluster: KindCluster, images: list[str], runner: Runner) -> None:
    """Load the images onto the node through one archive."""
    if not images:
        return
    with cluster.cache.scratch() as scratch:
        archive = scratch / "images.tar"
        runner.run(cluster.engine.save_command(images, archive), env=cluster.engine.environment)
        kind: Command = [cluster.cache.bin / "kind", "load", "image-archive", archive, "--name", NAME]
        runner.run(kind, env=cluster.engine.environment)
