"""`python -m tests.chaos`: kill pods under load on the demo cluster, then check I1-I7 and I9."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.load import Style
from tests.chaos.run import BrokenBefore, Result, run
from tests.chaos.victims import VICTIMS
from tests.support.cluster import Cluster, shell_environment

_SHOWN = 50
_FIX = "fix them (`kompensa sagas get ID` shows how a saga ended), or start with a new cluster: make down, make chaos"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    made.add_argument("--minutes", type=float, default=5.0, help="how long pods are killed (default 5)")
    made.add_argument("--rate", type=float, default=4.0, help="orders, and as many customer changes, a second")
    made.add_argument("--pause", type=float, default=8.0, help="seconds between a recovery and the next kill")
    made.add_argument(
        "--victims", default=",".join(VICTIMS), help="comma-separated, in this order (default: every kind)"
    )
    made.add_argument("--style", type=Style, choices=Style, help="how orders are placed (default: both, in turn)")
    made.add_argument("--seed", type=int, default=1, help="of the load's choices")
    made.add_argument("-o", "--output", choices=["table", "json"], default="table")
    return made


def main() -> int:
    options = parser().parse_args()
    names = [name.strip() for name in options.victims.split(",") if name.strip()]
    unknown = [name for name in names if name not in VICTIMS]
    if unknown:
        sys.exit(f"no such victim: {', '.join(unknown)}; expected some of {', '.join(VICTIMS)}")
    console = Console(stderr=options.output == "json")
    started = time.monotonic()
    cluster = Cluster(shell_environment(Path(__file__).resolve().parents[2]))
    try:
        result = run(
            cluster,
            [VICTIMS[name] for name in names],
            seconds=options.minutes * 60,
            rate=options.rate,
            pause=options.pause,
            seed=options.seed,
            styles=[options.style] if options.style else list(Style),
            say=lambda line: console.print(f"[dim]{time.monotonic() - started:6.1f} s[/] {line}"),
        )
    except BrokenBefore as broken:
        sys.exit("\n".join(["these do not hold, and nothing was killed yet:", *broken.args[:_SHOWN], _FIX]))
    if options.output == "json":
        print(json.dumps(result.__dict__, indent=2))
    else:
        _show(console, result)
    return 1 if result.violations else 0


def _show(console: Console, result: Result) -> None:
    for title, counted in (("kills", result.kills), ("sagas by outcome", result.outcomes)):
        table = Table(title=title, title_justify="left")
        table.add_column("what")
        table.add_column("count", justify="right")
        for name, count in counted.items():
            table.add_row(name, str(count))
        console.print(table)
    console.print(f"{result.accepted} sagas, {result.changes} customer changes, {result.retries} requests repeated")
    for violation in result.violations[:_SHOWN]:
        console.print(f"[red]violated[/] {violation}")
    verdict = f"[red]{len(result.violations)} violations[/]" if result.violations else "[green]every invariant holds[/]"
    console.print(verdict)


if __name__ == "__main__":
    sys.exit(main())
