"""One chaos run: load and kills side by side, then quiet, then the invariants from the services' own databases.

They are checked once before, too: an invariant that is broken then says nothing about the kills.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.load import Load, Style, set_the_scenes
from tests.chaos.victims import Victim
from tests.support.cluster import ENDED, Cluster
from tests.support.invariants import violations
from tests.support.kubectl import KubectlError
from tests.support.ledgers import phases_of_placements, read

Say = Callable[[str], None]

QUIET_SECONDS = 300.0
QUIET_BEFORE_SECONDS = 60.0
PAGE = 500
ORDER = "create-order"


class BrokenBefore(Exception):
    """The invariants do not hold although nothing was killed yet; the arguments are the violations."""


@dataclass
class Result:
    """Counts of the run, and the violated invariants."""

    kills: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    changes: int = 0
    retries: int = 0
    violations: list[str] = field(default_factory=list)


def run(
    cluster: Cluster,
    victims: Sequence[Victim],
    *,
    seconds: float,
    rate: float,
    pause: float,
    seed: int,
    say: Say,
    styles: Sequence[Style] = tuple(Style),
) -> Result:
    """Kill the victims in turn for `seconds`, with `pause` seconds between a recovery and the next kill.

    Each order is placed in one of `styles`, in turn.

    Raises
    ------
    BrokenBefore
        If an invariant is broken from the start.
    """
    _, found = _settle(cluster, QUIET_BEFORE_SECONDS, say)
    if found:
        raise BrokenBefore(*found)
    say("every invariant holds; load and kills begin")
    result = Result()
    load = Load(cluster, set_the_scenes(cluster), rate=rate, seed=seed, styles=styles)
    load.start()
    try:
        _kill_in_turn(cluster, victims, seconds, pause, result, say)
    finally:
        say("no more load; waiting for running sagas")
        tally = load.stop()
    result.accepted, result.changes, result.retries = len(tally.accepted), tally.changes, tally.retries
    result.violations += [f"I7 never acknowledged: {what}" for what in tally.given_up]
    phases, found = _settle(cluster, QUIET_SECONDS, say)
    result.violations += found
    result.violations += [f"I7 accepted but unknown: saga {saga}" for saga in tally.accepted if saga not in phases]
    result.outcomes.update(phases[saga] for saga in tally.accepted if saga in phases)
    return result


def _kill_in_turn(
    cluster: Cluster, victims: Sequence[Victim], seconds: float, pause: float, result: Result, say: Say
) -> None:
    deadline = time.monotonic() + seconds
    for victim in itertools.cycle(victims):
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        if time.monotonic() >= deadline:
            return
        try:
            killed = cluster.kill(victim.namespace, victim.selector)
            result.kills[victim.name] += len(killed)
            say(f"killed {victim.name}: {', '.join(killed) or 'no pod was there'}")
            cluster.ready(victim.namespace, victim.selector)
        except (AssertionError, KubectlError) as error:
            result.violations.append(f"I10 {victim.name} did not come back: {error}")


def _settle(cluster: Cluster, seconds: float, say: Say) -> tuple[dict[str, str], list[str]]:
    """Wait until this shop's orders have ended and the invariants hold, or until `seconds` are over.

    Returns
    -------
    phases, violations
        The phase of every saga by id, and the violated invariants.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            phases, found = _look(cluster)
        except (OSError, KubectlError, AssertionError) as error:
            phases, found = {}, [f"cannot be checked yet: {error}"]
        if not found or time.monotonic() > deadline:
            return phases, found
        say(f"not quiet yet: {found[0]}{f' and {len(found) - 1} more' if len(found) > 1 else ''}")
        time.sleep(3)


def _look(cluster: Cluster) -> tuple[dict[str, str], list[str]]:
    sagas = all_sagas(cluster)
    phases = {saga["id"]: saga["phase"] for saga in sagas}
    orders = {s["id"] for s in sagas if (s["namespace"], s["definition"]) == (cluster.namespace, ORDER)}
    placements = phases_of_placements(cluster.databases.rows)
    phases |= placements
    orders |= placements.keys()
    moving = [saga for saga in orders if phases[saga] not in ENDED]
    if moving:
        return phases, [f"{len(moving)} sagas have not ended"]
    return phases, violations(read(cluster.databases.rows, phases, orders))


def all_sagas(cluster: Cluster) -> list[dict[str, Any]]:
    """Every saga that the engine knows, of this shop and of others."""
    sagas: list[dict[str, Any]] = []
    after = ""
    while True:
        page = cluster.api("GET", f"/v1/sagas?limit={PAGE}{f'&after={after}' if after else ''}").ok()["items"]
        sagas += page
        if len(page) < PAGE:
            return sagas
        after = page[-1]["id"]
