"""Events as they come out of a topic: decoding, and the schemas they must fit."""

from kompensa_cdc.events.decode import MAX_NESTING, decode, poison, poisoned, unexpected, version_in
from kompensa_cdc.events.event import Event, Headers, Poison, PoisonError
from kompensa_cdc.events.record import Record, time_of
from kompensa_cdc.events.schema import Check, InvalidSchemaError, payload_check

__all__ = [
    "MAX_NESTING",
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
    "time_of",
    "unexpected",
    "version_in",
]
