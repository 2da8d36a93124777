"""How fast the engine is alone: `kompensa engine serve` as a process, four HTTP steps to a participant that does
nothing, and PostgreSQL with its default durability. Prints, judges not.

    .venv/bin/python -m tests.bench.engine_alone [--flight 1,16,64,200] [--journalling lazy,eager] [--rounds 3]
        [--python /usr/bin/python3]

Each saga is started over HTTP and waited for in the same request. Everything runs on this machine, over loopback: the
load generator and the participant (in Go, to leave the processor to what is measured) take their part of it.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from kompensa_dev.run import Run
from tests.bench.local_engine import IDEMPOTENCY, Counters, Load, LocalEngine

FLIGHTS = (1, 16, 64, 200)
HEADER = (
    f"{'journal':<8}{'in flight':>9}{'sagas':>8}{'sagas/s':>9}{'p50 ms':>8}{'p99 ms':>8}"
    f"{'writes':>8}{'commits':>9}{'WAL B':>8}{'CPU ms':>8}{'CPU %':>7}   (writes to CPU ms: a saga; CPU: of the engine)"
)


def main() -> int:
    options = _options()
    with Run.open() as run:
        engine = LocalEngine(run, python=options.python)
        print(_machine(engine, options.python), flush=True)
        for journalling in options.journalling:
            engine.load(journalling, flight=64, sagas=options.sagas, seconds=options.warm_up)
        print(HEADER, flush=True)
        rates: dict[tuple[str, int], list[float]] = {}
        for _ in range(options.rounds):
            for journalling in options.journalling:
                for flight in options.flight:
                    rates.setdefault((journalling, flight), []).append(_measure(engine, journalling, flight, options))
    if options.rounds > 1:
        print(f"\nsagas/s over {options.rounds} rounds: lowest, median, highest")
        for (journalling, flight), seen in rates.items():
            print(f"{journalling:<8}{flight:>9}{min(seen):>9.0f}{statistics.median(seen):>9.0f}{max(seen):>9.0f}")
    return 0


def _measure(engine: LocalEngine, journalling: str, flight: int, options: argparse.Namespace) -> float:
    before = engine.counters()
    load = engine.load(journalling, flight=flight, sagas=options.sagas, seconds=options.seconds)
    print(_line(journalling, flight, load, before, engine.counters()), flush=True)
    return load.rate


def _line(journalling: str, flight: int, load: Load, before: Counters, after: Counters) -> str:
    def each(total: float) -> float:
        return total / load.sagas

    cpu = after.cpu_seconds - before.cpu_seconds
    line = (
        f"{journalling:<8}{flight:>9}{load.sagas:>8}{load.rate:>9.0f}{load.p50_ms:>8.2f}{load.p99_ms:>8.2f}"
        f"{each(after.writes - before.writes):>8.2f}{each(after.commits - before.commits):>9.3f}"
        f"{each(after.wal_bytes - before.wal_bytes):>8.0f}{each(cpu) * 1000:>8.3f}{100 * cpu / load.seconds:>7.0f}"
    )
    return line if not load.failures else f"{line}   {load.failures} DID NOT SUCCEED"


def _machine(engine: LocalEngine, python: str) -> str:
    version = subprocess.run([python, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    durability = ", ".join(f"{name} {engine.ask(f'SHOW {name}')}" for name in ("fsync", "synchronous_commit"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}), {platform.system()} "
        f"{platform.release()}, {version} ({python}), "
        f"PostgreSQL {engine.ask('SHOW server_version').split()[0]} ({durability}), load {os.getloadavg()[0]:.2f}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flight", type=_numbers, default=FLIGHTS, metavar="N,N", help="sagas in flight (1,16,64,200)")
    parser.add_argument(
        "--journalling", type=_journallings, default=tuple(IDEMPOTENCY), metavar="HOW,HOW", help="lazy, eager or both"
    )
    parser.add_argument("--sagas", type=int, default=20_000, help="at most this many for each row (20000)")
    parser.add_argument("--seconds", type=float, default=6.0, help="at most this long for each row (6)")
    parser.add_argument("--warm-up", type=float, default=3.0, metavar="SECONDS", help="before the first row (3)")
    parser.add_argument("--rounds", type=int, default=1, help="how often to go through all rows (1)")
    parser.add_argument("--python", default=sys.executable, metavar="PATH", help="the engine's interpreter (this one)")
    return parser.parse_args()


def _numbers(text: str) -> Sequence[int]:
    return tuple(int(part) for part in text.split(","))


def _journallings(text: str) -> Sequence[str]:
    chosen = tuple(text.split(","))
    if unknown := [name for name in chosen if name not in IDEMPOTENCY]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(IDEMPOTENCY)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
