"""The Debezium connector's configuration for one outbox: a pure function, golden-tested.

Each setting that differs from Debezium's default does so for a reason, which is written above it.
"""

import re
from collections.abc import Mapping, Sequence

from kompensa_cdc.capture.columns import Route
from kompensa_cdc.capture.heartbeat import PREFIX
from kompensa_cdc.capture.outbox import LARGEST_EVENT_BYTES, Credentials, Database, Directory, Outbox

CONNECTOR_CLASS = "io.debezium.connector.postgresql.PostgresConnector"

_STRING = "org.apache.kafka.connect.storage.StringConverter"
# Each travels as the header of its name, with '-' for '_'.
# EventRouter's own field for the time refuses a timestamptz and kills the task, so occurred_at is a header.
_HEADERS = ("event_type", "event_version", "aggregate_version", "occurred_at", "traceparent", "saga_id")


def connector_config(
    outbox: Outbox, database: Database, credentials: Credentials, *, row_filter: str, optional: Sequence[str] = ()
) -> dict[str, str]:
    """Return the whole configuration, as PUT to `/connectors/<name>/config`.

    Parameters
    ----------
    database
        The capture role's login, as seen from Connect.
    credentials
        Whether that login is written out (Inline) or only named (Directory).
    row_filter
        The condition under which a row can be published, as in the publication's row filter.
    optional
        The meanings of columns that become headers, and that an outbox need not have.
    """
    return {
        "connector.class": CONNECTOR_CLASS,
        "tasks.max": "1",
        "topic.prefix": outbox.connector,
        **_database(database, credentials),
        **_replication(outbox),
        **_first_reading(outbox, row_filter),
        **_heartbeat(),
        **_low_latency(),
        **_sizes(outbox),
        **_plain_json(),
        **_routing(outbox, optional),
        **_topics_made_by_connect(outbox),
    }


def database_of_connector(config: Mapping[str, str], login: tuple[str, str] | None) -> Database | None:
    """The database that a connector with this configuration reads; None if it does not say which.

    Parameters
    ----------
    login
        Username and password; None takes those in `config`, which may only be names of files.
    """
    username, password = login or (config.get("database.user", ""), config.get("database.password", ""))
    host, port = config.get("database.hostname", ""), config.get("database.port", "")
    database = config.get("database.dbname", "")
    if not (host and port.isdigit() and database and username and password) or username.startswith("${"):
        return None
    return Database(
        host=host,
        port=int(port),
        database=database,
        username=username,
        password=password,
        sslmode=config.get("database.sslmode", "prefer"),
    )


def _database(database: Database, credentials: Credentials) -> dict[str, str]:
    return {
        "database.hostname": database.host,
        "database.port": str(database.port),
        "database.dbname": database.database,
        **_login(database, credentials),
        **({} if database.sslmode == "prefer" else {"database.sslmode": database.sslmode}),
        "driver.connectTimeout": "10",
        "driver.socketTimeout": "60",
    }


def _login(database: Database, credentials: Credentials) -> dict[str, str]:
    if isinstance(credentials, Directory):
        stem = f"{credentials.path}:{credentials.key}"
        return {
            "database.user": f"${{directory:{stem}.username}}",
            "database.password": f"${{directory:{stem}.password}}",
        }
    return {"database.user": database.username, "database.password": database.password}


def _replication(outbox: Outbox) -> dict[str, str]:
    return {
        "plugin.name": "pgoutput",
        "slot.name": outbox.slot,
        "publication.name": outbox.publication,
        # Ours, made before the connector: Debezium would ask for rights over all tables.
        "publication.autocreate.mode": "disabled",
        "table.include.list": re.escape(outbox.table),
        # Fails if the slot was recreated by hand, instead of skipping what it missed.
        "offset.mismatch.strategy": "trust_offset",
        "skipped.operations": "u,d,t",
        "tombstones.on.delete": "false",
    }


def _first_reading(outbox: Outbox, row_filter: str) -> dict[str, str]:
    return {
        # The first start (and the first after a lost slot) publishes the rows that are already in the table;
        # a consumer's version guard makes what comes twice harmless.
        "snapshot.mode": "initial",
        # Reading the table passes the publication by, and with it the row filter.
        "snapshot.select.statement.overrides": outbox.table,
        f"snapshot.select.statement.overrides.{outbox.table}": (
            f"SELECT * FROM {outbox.table} WHERE {row_filter}{reading_order(outbox)}"
        ),
    }


def reading_order(outbox: Outbox) -> str:
    """The order in which rows of the table are read that were not in the stream, in SQL.

    The consumers of an event need those before it. A server reads a large table from any place on, if others read it.
    """
    if outbox.route is Route.BY_EVENT_TYPE:
        return ""
    quoted = outbox.columns.quoted
    return f" ORDER BY {quoted('aggregate_type')}, {quoted('aggregate_id')}, {quoted('aggregate_version')}"


def _heartbeat() -> dict[str, str]:
    return {
        # An idle outbox in a busy database would keep the server's WAL forever. This heartbeat needs no operator.
        "heartbeat.interval.ms": "5000",
        "heartbeat.action.query": "SELECT pg_logical_emit_message(false, 'kompensa-heartbeat', '')",
        # The operator's heartbeats are published, and no other messages.
        "message.prefix.include.list": PREFIX,
        # So that their content is text.
        "binary.handling.mode": "base64",
    }


def _sizes(outbox: Outbox) -> dict[str, str]:
    return {
        "producer.override.max.request.size": str(outbox.max_record_bytes),
        # Counted in records alone, the queue could hold 16 GiB.
        "max.queue.size.in.bytes": str(LARGEST_EVENT_BYTES),
        # The number of rows in memory at once while a table is read; Debezium's own default is 10240.
        "snapshot.fetch.size": str(max(1, min(10240, 2 * LARGEST_EVENT_BYTES // outbox.max_event_bytes))),
    }


def _low_latency() -> dict[str, str]:
    return {
        # A floor under every event's latency: Debezium's own default is 500.
        "poll.interval.ms": "10",
        "max.batch.size": "4096",
        "max.queue.size": "16384",
        "producer.override.linger.ms": "1",
        "producer.override.compression.type": "lz4",
        "errors.tolerance": "none",
    }


def _topics_made_by_connect(outbox: Outbox) -> dict[str, str]:
    # The heartbeat's, and those of event types that the Outbox does not list: their events are published all the same.
    settings = {"partitions": str(outbox.partitions), "replication.factor": "-1", **outbox.topic_settings}
    return {f"topic.creation.default.{name}": value for name, value in settings.items()}


def _plain_json() -> dict[str, str]:
    # The payload's text goes through untouched: no schema inference, no dropped nulls or empty arrays.
    return {
        "key.converter": _STRING,
        "value.converter": _STRING,
        "header.converter": _STRING,
        "extended.headers.enabled": "false",
    }


def _routing(outbox: Outbox, optional: Sequence[str]) -> dict[str, str]:
    name = outbox.columns.name
    of_route = ("aggregate_type",) if outbox.route is Route.BY_AGGREGATE_TYPE else ()
    headers = (*_HEADERS, *of_route, *optional)
    placement = ",".join(f"{name(meaning)}:header:{meaning.replace('_', '-')}" for meaning in headers)
    return {
        # Heartbeats pass through the same chain and are not outbox rows.
        "predicates": "isOutbox",
        "predicates.isOutbox.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        "predicates.isOutbox.pattern": re.escape(f"{outbox.connector}.{outbox.table}"),
        "transforms": "outbox",
        "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
        "transforms.outbox.predicate": "isOutbox",
        "transforms.outbox.route.by.field": name(outbox.route_meaning),
        "transforms.outbox.route.topic.replacement": outbox.topic_prefix + ".${routedByValue}",
        "transforms.outbox.table.field.event.id": name("id"),
        "transforms.outbox.table.field.event.key": name("aggregate_id"),
        "transforms.outbox.table.field.event.payload": name("payload"),
        "transforms.outbox.table.fields.additional.placement": placement,
        # Rows in the WAL may be older than the migration that added such a column.
        **({"transforms.outbox.table.fields.additional.error.on.missing": "false"} if optional else {}),
        "transforms.outbox.table.expand.json.payload": "false",
        "transforms.outbox.route.tombstone.on.empty.payload": "true",
        "transforms.outbox.table.op.invalid.behavior": "error",
    }
