"""`python3 -m <service> events`: look at the events that wait, retry them, discard them.

This is a command and not an endpoint, because it shows personal content and decides about events. The database's own
login is the right that it needs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from kompensa_consumer.database import connect, trouble
from kompensa_participant.reactions import inbox
from kompensa_participant.reactions.routes import as_json
from kompensa_participant.settings import Settings, SettingsError

PAGE = 500


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb `events` to a service's command."""
    parser = verbs.add_parser("events", help="show, retry or discard the events that wait in the inbox")
    actions = parser.add_subparsers(dest="action", required=True, metavar="list | show | retry | discard")
    actions.add_parser("list", help="one line for each event that is retried, held or parked")
    show = actions.add_parser("show", help="everything about one event, its content too")
    show.add_argument("event", type=UUID)
    retry = actions.add_parser("retry", help="try parked events again, now")
    retry.add_argument("event", type=UUID, nargs="?", help="one event; without it, give --all or --topic")
    retry.add_argument("--all", action="store_true", help="all parked events")
    retry.add_argument("--topic", help="all parked events of a topic")
    discard = actions.add_parser("discard", help="decide that a parked event shall have no effect")
    discard.add_argument("event", type=UUID)
    discard.add_argument("--reason", required=True, help="why, for those who look later")


def run(chosen: argparse.Namespace, settings: Settings, *, schema: str) -> None:
    """Run the chosen action.

    Raises
    ------
    SettingsError
        If it cannot be done; the text says why.
    """
    try:
        asyncio.run(_run(chosen, settings, schema))
    except psycopg.errors.UndefinedTable:
        raise SettingsError(f"schema {schema} has no table inbox: run migrate") from None
    except (psycopg.Error, OSError) as error:
        raise SettingsError(trouble(settings.database_url, error)) from None


async def _run(chosen: argparse.Namespace, settings: Settings, schema: str) -> None:
    async with (
        await connect(settings.database_url, application_name=f"{schema} events", search_path=schema) as connection,
        connection.transaction(),
    ):
        match chosen.action:
            case "list":
                await _list(connection)
            case "show":
                await _show(connection, chosen.event)
            case "retry":
                await _retry(connection, chosen)
            case _:
                await _discard(connection, chosen.event, chosen.reason)


async def _list(connection: AsyncConnection[Any]) -> None:
    after = 0
    while rows := await inbox.list_events(connection, inbox.WAITING, after=after, limit=PAGE):
        after = rows[-1].position
        for row in rows:
            print(f"{row.state:8} {row.event_id} {row.topic} key {row.key} attempts {row.attempts} {row.error or ''}")
    if not after:
        print("no event waits")


async def _show(connection: AsyncConnection[Any], event_id: UUID) -> None:
    row = await inbox.find(connection, event_id)
    if row is None:
        raise SettingsError(f"event {event_id} has not arrived in this service")
    content = await inbox.content_of(connection, event_id)
    print(json.dumps({**as_json(row), **content}, indent=2, ensure_ascii=False))


async def _retry(connection: AsyncConnection[Any], chosen: argparse.Namespace) -> None:
    if chosen.event is None and not chosen.all and not chosen.topic:
        raise SettingsError("give an event, --topic or --all")
    count = await inbox.retry(connection, chosen.event, topic=chosen.topic)
    if chosen.event is not None and not count:
        raise SettingsError(await _not_parked(connection, chosen.event))
    print(f"{count} parked events will be tried again")


async def _discard(connection: AsyncConnection[Any], event_id: UUID, reason: str) -> None:
    if not await inbox.discard(connection, event_id, reason):
        raise SettingsError(await _not_parked(connection, event_id))
    print(f"event {event_id} is discarded; later events of its key go on")


async def _not_parked(connection: AsyncConnection[Any], event_id: UUID) -> str:
    row = await inbox.find(connection, event_id)
    if row is None:
        return f"event {event_id} has not arrived in this service"
    return f"event {event_id} is {row.state}, not Parked: nothing was changed"
