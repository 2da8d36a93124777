"""`python -m tests.bench`: measure on the running cluster and print the figures. Nothing passes or fails here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.bench import copies, sagas, sizes, styles
from tests.support.cluster import Cluster, shell_environment

PARTS = ("sagas", "styles", "copies", "memory", "images")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--sagas", type=int, default=200, help="sagas or orders of each kind")
    parser.add_argument("--changes", type=int, default=1000, help="customer changes")
    parser.add_argument("--rate", type=float, default=50.0, help="customer changes a second")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    cluster = Cluster(shell_environment(Path(__file__).resolve().parents[2]))
    measure: dict[str, Callable[[], Iterable[str]]] = {
        "sagas": lambda: sagas.lines(cluster, options.sagas),
        "styles": lambda: styles.lines(cluster, options.sagas),
        "copies": lambda: copies.lines(cluster, options.changes, options.rate),
        "memory": lambda: sizes.memory(cluster),
        "images": lambda: sizes.images(cluster),
    }
    for part in options.parts or PARTS:
        print(f"\n{part}")
        for line in measure[part]():
            print(f"  {line}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
