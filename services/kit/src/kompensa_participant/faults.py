"""The fault switch: a request can ask the service to fail at a chosen point, so that tests hit exactly that point.

Off unless FAULTS_ENABLED is true; then the header is ignored altogether.

    Kompensa-Fault: delay; seconds=3
    Kompensa-Fault: fail-before-commit; status=500
    Kompensa-Fault: fail-after-commit; status=500; attempts=2; direction=action
    Kompensa-Fault: refuse; status=422
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from kompensa_participant.problem import Problem, Refused

HEADER = "kompensa-fault"
KINDS = ("delay", "fail-before-commit", "fail-after-commit", "refuse")
PARAMETERS = frozenset({"status", "seconds", "attempts", "direction"})
LONGEST_DELAY = 60.0


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault to inject. `attempts` limits it to the first attempts, `direction` to one direction."""

    kind: str
    status: int = 500
    seconds: float = 1.0
    attempts: int | None = None
    direction: str | None = None

    def applies(self, *, attempt: int, direction: str) -> bool:
        return (self.attempts is None or attempt <= self.attempts) and self.direction in (None, direction)

    async def before_barrier(self) -> None:
        """A request that is late: what comes meanwhile, its own compensation too, overtakes it."""
        if self.kind == "delay":
            await asyncio.sleep(self.seconds)

    def in_work(self) -> None:
        if self.kind == "refuse":
            raise Refused("injected-refusal", "refused by the fault switch", status=409 if self.status == 409 else 422)

    def before_commit(self) -> None:
        if self.kind == "fail-before-commit":
            raise Problem(self.status, "injected-fault", "failed before the commit by the fault switch")

    def after_commit(self) -> None:
        if self.kind == "fail-after-commit":
            raise Problem(self.status, "injected-fault", "failed after the commit by the fault switch")


NO_FAULT = Fault(kind="none")


def parse(header: str) -> Fault:
    """Read the header. Raises Problem (400) naming what is wrong with it: a misspelt fault would test nothing."""
    kind, *rest = [part.strip() for part in header.split(";")]
    values = {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in rest if part)}
    try:
        return _fault(kind, values)
    except ValueError as error:
        raise Problem(400, "fault-invalid", f"Kompensa-Fault {header!r}: {error}") from error


def _fault(kind: str, values: Mapping[str, str]) -> Fault:
    if kind not in KINDS:
        raise ValueError(f"knows {', '.join(KINDS)}, not {kind!r}")
    if unknown := sorted(values.keys() - PARAMETERS):
        raise ValueError(f"takes {', '.join(sorted(PARAMETERS))}, not {', '.join(unknown)}")
    fault = Fault(
        kind=kind,
        status=int(values.get("status", 500)),
        seconds=float(values.get("seconds", 1)),
        attempts=int(values["attempts"]) if "attempts" in values else None,
        direction=values.get("direction"),
    )
    if not 400 <= fault.status <= 599:
        raise ValueError(f"status must be between 400 and 599, not {fault.status}")
    if not 0 <= fault.seconds <= LONGEST_DELAY:
        raise ValueError(f"seconds must be between 0 and {LONGEST_DELAY:.0f}, not {values['seconds']}")
    if fault.direction not in (None, "action", "compensation"):
        raise ValueError(f"direction must be action or compensation, not {fault.direction!r}")
    return fault
