"""The verbs of `python3 -m images`."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from images import prepare, status
from images import up as bring_up
from images.cluster.kind import KindCluster
from images.setup import recipes, venv
from images.setup.cache import Cache, default_root
from images.setup.errors import CommandFailed, SetupError
from images.setup.stages import Report
from images.setup.versions import load_versions


def parser() -> argparse.ArgumentParser:
    """Every verb with its own help."""
    main_parser = argparse.ArgumentParser(
        prog="python3 -m images",
        description="Builds the container images and brings the kind cluster up. Safe to run again at any time.",
        epilog="Environment: KOMPENSA_CACHE (where products are kept), CONTAINER_ENGINE (docker or podman), "
        "NODE_IMAGE (the kind node image to use).",
    )
    main_parser.add_argument("-v", "--verbose", action="store_true", help="show what the tools print")
    verbs = main_parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="cluster, images and charts: found, repaired or made")
    up.add_argument("--without-charts", action="store_true", help="stop when the images are on the node")
    up.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="CHART.PATH=VALUE",
        dest="settings",
        help="a value of one of the charts, e.g. shop.isolation=schema; can be repeated",
    )
    verbs.add_parser("down", help="delete the cluster; the cache stays")
    verbs.add_parser("status", help="what there is: engine, cluster, images")
    build = verbs.add_parser("build", help="build images that are not there yet")
    build.add_argument("image", nargs="*", choices=[*recipes.RECIPES, []], help="default: all that run in pods")
    verbs.add_parser("load", help="build images and put those that the node lacks on it")
    goal = verbs.add_parser("prepare", help="install and build what a goal needs")
    goal.add_argument("goal", choices=prepare.GOALS)
    verbs.add_parser(
        "jars", help="print, as JSON, the folders of the jars: kafka, connect and the plugin path debezium"
    )
    verbs.add_parser("env", help="print export lines for a shell: KUBECONFIG, PATH, engine settings")
    return main_parser


def main(arguments: Sequence[str]) -> int:
    """Run one verb; returns the exit status. An expected failure is a sentence, never a traceback."""
    options = parser().parse_args(arguments)
    try:
        run(options, Cache(default_root(os.environ)))
    except CommandFailed as failure:
        # The stage that ran it has shown it; a command outside a stage has not been.
        if failure.log is None:
            print(failure, file=sys.stderr)
        return 1
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def run(options: argparse.Namespace, cache: Cache) -> None:
    versions = load_versions()
    report = Report(cache.logs, verbose=options.verbose)
    match options.verb:
        case "up":
            bring_up.up(cache, versions, report, charts=not options.without_charts, settings=options.settings)
        case "down":
            _down(cache, report)
        case "status":
            status.show(cache, versions, report)
        case "build" | "load":
            prepare.prepare("demo", cache, versions, report)
            engine = prepare.ensure_engine(cache, report)
            names = tuple(getattr(options, "image", ())) or recipes.DEPLOYED
            images = bring_up.build(engine, cache, versions, report, names)
            if options.verb == "load":
                bring_up.load_missing(KindCluster(engine, cache), images, report)
        case "prepare":
            prepare.prepare(options.goal, cache, versions, report)
        case "jars":
            print(json.dumps(_jars(cache, report)))
        case "env":
            print(export_lines(_shell_environment(cache, report), cache.bin, venv.VENV / "bin"))


def _down(cache: Cache, report: Report) -> None:
    engine = prepare.ensure_engine(cache, report)
    with report.stage("cluster") as stage:
        if (cache.bin / "kind").exists():
            KindCluster(engine, cache).delete(stage.runner)
        stage.note = "deleted; caches stay"


def _jars(cache: Cache, report: Report) -> Mapping[str, str]:
    """Other programs read this output, so the stages go to standard error."""
    found = prepare.ensure_jars(cache, Report(report.logs, out=sys.stderr, verbose=report.verbose))
    return {"kafka": str(found.kafka), "connect": str(found.connect), "debezium": str(found.plugins)}


def _shell_environment(cache: Cache, report: Report) -> Mapping[str, str]:
    engine = prepare.ensure_engine(cache, Report(report.logs, out=sys.stderr))
    return {"KUBECONFIG": str(cache.kubeconfig), **engine.environment}


def export_lines(environment: Mapping[str, str], *programs: Path) -> str:
    """Lines for `eval`; the shell that reads them puts these folders before its own PATH."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    folders = ":".join(shlex.quote(str(folder)) for folder in programs)
    return "\n".join([*lines, f'export PATH={folders}:"$PATH"'])
