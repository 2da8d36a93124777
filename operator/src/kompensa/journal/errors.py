"""What can go wrong at the journal, as far as the engine treats it differently."""

from __future__ import annotations


class JournalError(Exception):
    """Anything below. The message is for a log or a problem document."""


class JournalUnavailableError(JournalError):
    """The journal cannot be reached or cannot write now. Try again; nothing was acknowledged."""


class SagasLockedError(JournalError):
    """Another session holds the rows of these sagas. Nothing of the batch was written; the others can go on."""

    def __init__(self, sagas: frozenset[str]) -> None:
        super().__init__(f"rows of sagas are locked by another session of the database: {', '.join(sorted(sagas))}")
        self.sagas = sagas


class StaleLeaseError(JournalError):
    """Another incarnation owns our shards. Whatever this engine holds in memory is void: drop it and join again."""


class NameTakenError(JournalError):
    """A living engine has our name. Two engines under one name would take the lease from each other for ever."""


class RejectedError(JournalError):
    """PostgreSQL refuses this one write, and would again: only the saga it belongs to is affected."""


class SupersededError(RejectedError):
    """The journal has a later version of the saga, or its shard is not ours any more: this copy of it is void."""
