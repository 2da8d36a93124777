"""Outbox capture: publication, slot, topics and the Debezium connector, made before the first write and kept so."""

from kompensa_cdc.capture.checks import check_outbox
from kompensa_cdc.capture.connector import connector_config
from kompensa_cdc.capture.errors import CaptureError
from kompensa_cdc.capture.logins import database_from_secret
from kompensa_cdc.capture.outbox import (
    Credentials,
    Database,
    Directory,
    Inline,
    InvalidOutboxError,
    Outbox,
    outbox_from_object,
)
from kompensa_cdc.capture.reconcile import reconcile_outbox
from kompensa_cdc.capture.removal import Leftover, captured_database, remove_outbox
from kompensa_cdc.capture.status import OutboxStatus, remembered

__all__ = [
    "CaptureError",
    "Credentials",
    "Database",
    "Directory",
    "Inline",
    "InvalidOutboxError",
    "Leftover",
    "Outbox",
    "OutboxStatus",
    "captured_database",
    "check_outbox",
    "connector_config",
    "database_from_secret",
    "outbox_from_object",
    "reconcile_outbox",
    "remembered",
    "remove_outbox",
]
