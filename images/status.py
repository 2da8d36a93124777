"""`status`: what there is, without changing anything."""

from images.cluster import load
from images.cluster.kind import NAME, KindCluster, State
from images.node.image import own_image
from images.setup import engine, jars, venv
from images.setup.cache import Cache
from images.setup.stages import Report
from images.setup.versions import Versions

LABEL_WIDTH = 20


def show(cache: Cache, versions: Versions, report: Report) -> None:
    """One line a thing."""
    found = engine.detect(cache)
    report.say(line("cache", str(cache.root)))
    report.say(line("python environment", "current" if venv.is_current() else "absent or old: make venv"))
    report.say(line("jars", str(fetched.root) if (fetched := jars.found(cache)) else "not fetched"))
    report.say(line("engine", found.program if found else "none answers"))
    if found is None:
        return
    own = own_image(versions)
    report.say(line("node image", own if found.has_image(own) else "not built here"))
    state = KindCluster(found, cache).state()
    report.say(line(f"cluster {NAME}", state.value))
    if state is State.HEALTHY:
        images = sorted(image for image in load.on_node(found) if "/kompensa/" in image)
        report.say(line("images on the node", f"{len(images)}"))
        for image in images:
            report.say(line("", image))


def line(label: str, value: str) -> str:
    return f"{label:<{LABEL_WIDTH}} {value}"
