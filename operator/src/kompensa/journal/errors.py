"""The journal's errors, one class for each that the engine treats differently."""

from __future__ import annotations


class JournalError(Exception):
    """Any error below. Its message is for a log or a problem document."""


class JournalUnavailableError(JournalError):
    """The journal cannot be reached or cannot write now. Try again; nothing was acknowledged."""


class SagasLockedError(JournalError):
    """Another session holds the rows of these sagas. Nothing of the batch was written; the others can go on."""

    def __init__(self, sagas: frozenset[str]) -> None:
        super().__init__(f"rows of sagas are locked by another session of the database: {', '.join(sorted(sagas))}")
        self.sagas = sagas


class StaleLeaseError(JournalError):
    """Another incarnation owns our shards. This engine's memory is void: drop it and join again."""


class NameTakenError(JournalError):
    """A living engine has our name. Two engines under one name would take the lease from each other forever."""


class RejectedError(JournalError):
    """PostgreSQL rejects this one write, and would do so each time. It affects only the saga it belongs to."""


class SupersededError(RejectedError):
    """The journal has a later version of the saga, or its shard is not ours any more: this copy of it is void."""
