"""`up`: from whatever is there to a Ready cluster with current images and the charts installed."""

from collections.abc import Mapping, Sequence

from images.cluster import load, release
from images.cluster.kind import KindCluster
from images.node import image as node_image
from images.prepare import ensure_engine, prepare
from images.setup import recipes
from images.setup.build import ImageBuilder
from images.setup.cache import Cache
from images.setup.engine import Engine
from images.setup.stages import Report
from images.setup.versions import Versions


def up(cache: Cache, versions: Versions, report: Report, *, charts: bool, settings: Sequence[str]) -> None:
    """Every step finds what is there; with all of it up to date this takes seconds."""
    chosen = release.by_chart(settings)
    prepare("demo", cache, versions, report)
    engine = ensure_engine(cache, report)
    node = node_image.ensure(engine, cache, versions, report)
    images = build(engine, cache, versions, report, recipes.DEPLOYED)
    cluster = KindCluster(engine, cache)
    cluster.up(node, report)
    load_missing(cluster, images, report)
    if charts:
        release.install(cluster, images, chosen, report)
    report.say('\nThe cluster is up. For kubectl and helm: eval "$(python3 -m images env)"')


def build(
    engine: Engine, cache: Cache, versions: Versions, report: Report, names: tuple[str, ...]
) -> Mapping[str, str]:
    """Make the engine have these images, one build at a time; returns name -> image name with tag."""
    with cache.lock("images"):
        return ImageBuilder(engine, cache, versions, report).build(names)


def load_missing(cluster: KindCluster, images: Mapping[str, str], report: Report) -> None:
    with report.stage("images onto the node") as stage:
        missing = load.lacking(images.values(), load.on_node(cluster.engine))
        load.load(cluster, missing, stage.runner)
        stage.note = f"{len(missing)} loaded, {len(images) - len(missing)} there"
