"""Turn a record into a change of the copy, or into poison: decode it, check the schema, form the row. Pure."""

from collections.abc import Callable

import msgspec

from kompensa_cdc.event_schema import payload_check
from kompensa_cdc.replicas.changes import Change
from kompensa_cdc.replicas.rows import canonical, check_key, row_of
from kompensa_cdc.replicas.spec import ReplicaSpec
from kompensa_cdc.replicas.table import TargetTable
from kompensa_consumer import Event, Poison, PoisonError, Record, decode, poisoned, unexpected


def preparer(spec: ReplicaSpec, table: TargetTable) -> Callable[[Record], Change | Poison]:
    """Return the function that prepares one record for this replica and this table.

    An event is a deletion if `deleteEvents` names its type, or if it is a tombstone. The schema holds for states only,
    since deletions carry less. The function raises nothing: a record over which anything fails becomes poison.
    """
    check = payload_check(spec.event_schema)
    required = table.required
    key_type = table.columns[spec.target.key_column].type

    def prepare(record: Record) -> Change | Poison:
        event = decode(record)
        key = canonical(event.key, key_type)
        if key != event.key:
            event = msgspec.structs.replace(event, key=key)
        if isinstance(event, Poison):
            return event
        try:
            return change_of(event)
        except PoisonError as error:
            return poisoned(event, str(error))
        except Exception as error:
            return poisoned(event, unexpected(error))

    def change_of(event: Event) -> Change:
        check_key(event.key, key_type)
        if event.payload is None or event.type in spec.delete_events:
            return Change(event, None)
        check(event)
        row = row_of(event, spec.target.columns, required=required)
        # The row holds the payload's values now; the payload itself would take most of a batch's memory.
        return Change(msgspec.structs.replace(event, payload=None), row)

    return prepare
