"""The needs of each goal on this machine; a second call finds them and does nothing.

lint: the Python environment. unit: Helm, too. try: PostgreSQL, Java and the jars, for real servers as local
processes. integration: PgBouncer, Kubernetes' API server and Helm, too. demo: a container engine and the cluster's
tools.
"""

from pathlib import Path

from images.setup import engine, go, jars, packages, venv
from images.setup.cache import Cache
from images.setup.engine import Engine
from images.setup.errors import SetupError
from images.setup.stages import Report
from images.setup.versions import Versions

GOALS = ("lint", "unit", "try", "integration", "demo")


def prepare(goal: str, cache: Cache, versions: Versions, report: Report) -> None:
    """Install and build what `goal` needs; a second call finds everything and does nothing."""
    packages.ensure(report, [packages.VENV])
    venv.ensure(cache, report)
    if goal in {"try", "integration"}:
        packages.ensure(report, [packages.POSTGRESQL])
    if goal in {"try", "integration", "demo"}:
        ensure_jars(cache, report)
    if goal in {"unit", "integration"}:
        go.ensure(go.helm(versions), cache, versions, report)
    if goal == "integration":
        packages.ensure(report, [packages.PGBOUNCER])
        go.ensure(go.kubernetes(versions), cache, versions, report)
        go.ensure(go.etcd(), cache, versions, report)
    if goal == "demo":
        ensure_engine(cache, report)
        ensure_tools(cache, versions, report)


def ensure_jars(cache: Cache, report: Report) -> jars.Jars:
    packages.ensure(report, [packages.JAVA])
    if found := jars.found(cache):
        return found
    packages.ensure(report, [packages.MAVEN])
    with report.stage("jars of Kafka, Connect and Debezium") as stage:
        return jars.ensure(cache, stage.runner)


def ensure_engine(cache: Cache, report: Report) -> Engine:
    """The container engine that answers; podman is installed where none does."""
    found = engine.detect(cache)
    if found is None:
        packages.ensure(report, packages.PODMAN)
        found = engine.detect(cache)
    if found is None:
        raise SetupError("no container engine answers: `docker info` and `podman info` both fail; start one of them")
    return found


def ensure_tools(cache: Cache, versions: Versions, report: Report) -> None:
    """kind, kubectl and Helm at their pinned versions, in the cache's bin folder."""
    for program in (go.kind(), go.kubectl(versions), go.helm(versions)):
        folder = go.ensure(program, cache, versions, report)
        _link(cache.bin / program.name, folder / program.name)


def _link(link: Path, target: Path) -> None:
    if link.resolve() == target.resolve():
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)
