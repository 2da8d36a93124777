"""The reasons for which the engine rejects a request. The API gives each its HTTP status."""

from __future__ import annotations

from collections.abc import Sequence


class EngineError(Exception):
    """Any error below. Its message is for the caller."""


class UnknownDefinitionError(EngineError):
    """There is no current definition of that name."""


class UnknownSagaError(EngineError):
    """There is no saga with that id."""


class InputInvalidError(EngineError):
    """The input does not fit the definition's schema."""

    def __init__(self, findings: Sequence[str]) -> None:
        super().__init__("the input does not fit the definition's inputSchema: " + "; ".join(findings))
        self.findings = tuple(findings)


class DefinitionInvalidError(EngineError):
    """The definition cannot be run."""

    def __init__(self, findings: Sequence[str]) -> None:
        super().__init__("; ".join(findings))
        self.findings = tuple(findings)


class ParticipantInvalidError(EngineError):
    """The participant's spec cannot be read."""


class IdempotencyKeyReusedError(EngineError):
    """The key belongs to a saga with another input."""


class IdReusedError(EngineError):
    """The id belongs to a saga of another definition, namespace or input."""


class SagaEndedError(EngineError):
    """The saga has ended, so this request comes too late."""


class PageGoneError(EngineError):
    """The saga that a page should follow is not in the journal any more."""


class OverloadedError(EngineError):
    """This engine has as many sagas in flight as it takes. Try again in a moment."""


class NotReadyError(EngineError):
    """This engine owns no shard now: it is joining, leaving, or cannot reach the journal."""
