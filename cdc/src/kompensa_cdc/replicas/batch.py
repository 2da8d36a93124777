"""A batch on its way from Kafka to the database: what was read, and over which offsets it moves."""

from dataclasses import dataclass

from kompensa_cdc.events import Poison
from kompensa_cdc.replicas.bookkeeping import Advance
from kompensa_cdc.replicas.changes import Change


@dataclass(frozen=True)
class Batch:
    """`items` in the order they were read; `moves` one per partition, all of it applied or nothing."""

    items: tuple[Change | Poison, ...]
    moves: tuple[Advance, ...]


@dataclass(frozen=True)
class Applied:
    """What a batch did: `written` rows changed in the copy, `parked` events put aside with their errors.

    `superseded`: keys of which events that do not fit are left, or left aside, for something newer in the copy.
    """

    records: int
    written: int
    parked: tuple[Poison, ...]
    superseded: tuple[str, ...]
