"""The kit that a service installs to take part in sagas.

A service author needs six names. `Service` describes the service and makes its application. `Allow` names the callers
of its routes. `Action` and `Compensation` are dependencies that make an endpoint idempotent by key. `Message` is the
base of requests, and `Refused` says no for a business reason. Behind them lies one row in the same local transaction as
the business change (`barrier`).
"""

from kompensa_participant.background import Background, Pool
from kompensa_participant.callers.access import ENGINE, EVERYONE, Allow
from kompensa_participant.copies import Copies
from kompensa_participant.endpoints import Action, Compensation, Database
from kompensa_participant.messages import Form, Message, SagaReference
from kompensa_participant.money import Money
from kompensa_participant.outbox import OutboxEvent, publish
from kompensa_participant.paging import After, Limit, page_of
from kompensa_participant.preconditions import IfMatch, Versions, entity_tag, matched_versions, version_mismatch
from kompensa_participant.problem import Problem, Refused
from kompensa_participant.reactions import REACTION_ROUTES, Reactions, ReceivedEvent, UnfitEventError
from kompensa_participant.service import Service
from kompensa_participant.tables import append_only, operations_table, outbox_table, reaction_tables
from kompensa_participant.times import utc

__all__ = [
    "ENGINE",
    "EVERYONE",
    "REACTION_ROUTES",
    "Action",
    "After",
    "Allow",
    "Background",
    "Compensation",
    "Copies",
    "Database",
    "Form",
    "IfMatch",
    "Limit",
    "Message",
    "Money",
    "OutboxEvent",
    "Pool",
    "Problem",
    "Reactions",
    "ReceivedEvent",
    "Refused",
    "SagaReference",
    "Service",
    "UnfitEventError",
    "Versions",
    "append_only",
    "entity_tag",
    "matched_versions",
    "operations_table",
    "outbox_table",
    "page_of",
    "publish",
    "reaction_tables",
    "utc",
    "version_mismatch",
]
