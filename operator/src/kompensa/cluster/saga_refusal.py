"""The status of a Saga that the engine did not take. Pure.

Two kinds: rejected permanently (its spec is immutable, so it ends here), and waiting for something that may appear.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from kompensa.client.engine_client import EngineProblemError
from kompensa.cluster.conditions import Condition, stalled, timestamp, working
from kompensa.cluster.resources import Object

_LISTED_DEFINITIONS = 20


@dataclass(frozen=True)
class Refusal:
    """Phase, reason and sentence for the status, and the conditions that go with them."""

    phase: str
    reason: str
    message: str
    conditions: tuple[Condition, ...]

    def fields(self, old: Object) -> Object:
        """The status' own fields; a Saga that has ended keeps the time at which it did."""
        fields: Object = {"phase": self.phase, "reason": self.reason, "message": self.message}
        if self.phase == "Terminated":
            fields["completionTime"] = old.get("completionTime") or timestamp(datetime.now(UTC))
        return fields


def refusal(problem: EngineProblemError) -> tuple[str, str]:
    """Reason and message of a problem: `idempotency-key-reused` becomes IdempotencyKeyReused."""
    reason = "".join(word.capitalize() for word in problem.slug.split("-")) or f"Refused{problem.status}"
    return reason, problem.detail


def terminated(why: tuple[str, str]) -> Refusal:
    """Rejected permanently: to correct it, create another Saga."""
    reason, message = why
    failed = Condition(type="Succeeded", status="False", reason=reason, message=message)
    return Refusal("Terminated", reason, message, (*stalled(reason, message), failed))


def pending(definition: str, namespace: str, known: list[str]) -> Refusal:
    """Waiting for a definition of that name."""
    reason = "DefinitionNotFound"
    there = f"there are: {', '.join(known[:_LISTED_DEFINITIONS])}" if known else "there is none yet"
    message = (
        f"no SagaDefinition {definition} that passes its check in namespace {namespace} ({there}); "
        "the Saga starts when it appears"
    )
    return Refusal("Pending", reason, message, stalled(reason, message))


def unreadable(fault: str) -> Refusal:
    """Not started, because its spec cannot be read. The CRD rejects such a spec, so it is older or newer than ours."""
    return Refusal("Pending", "SpecInvalid", fault, stalled("SpecInvalid", fault))


def waiting_for_engine() -> Refusal:
    """Not accepted yet, because the engine does not answer."""
    reason, message = "EngineUnreachable", "the engine cannot be reached; the Saga starts when it can"
    return Refusal("Pending", reason, message, working(reason, message))
