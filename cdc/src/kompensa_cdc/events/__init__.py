"""Events as they come out of a topic: decoding, and the schemas they must fit."""

from kompensa_cdc.events.decode import decode, poison, poisoned
from kompensa_cdc.events.event import Event, Headers, Poison, PoisonError
from kompensa_cdc.events.record import Record
from kompensa_cdc.events.schema import Check, InvalidSchemaError, payload_check

__all__ = [
    "Check",
    "Event",
    "Headers",
    "InvalidSchemaError",
    "Poison",
    "PoisonError",
    "Record",
    "decode",
    "payload_check",
    "poison",
    "poisoned",
]
