"""`kompensa trace`: the timeline of a saga, from the engine's journal and from Kafka's topics."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from kompensa.cli.connection import DEFAULT_URL, ApiUrl, Token, with_engine
from kompensa.cli.failures import BAD_INPUT, UNREACHABLE, CommandError
from kompensa.cli.output import Form, print_as
from kompensa.cli.saga_lookup import Namespace, SagaName, UnknownSagaError, find_saga
from kompensa.cli.watch import DEFAULT_BOOTSTRAP

if TYPE_CHECKING:
    from kompensa.client.engine_client import EngineClient
    from kompensa_cdc.watch import Progress as OnProgress
    from kompensa_cdc.watch import Span as TimeSpan
    from kompensa_cdc.watch import WatchedRecord

CLOCKS = timedelta(minutes=1)
"""How far the clocks of engine, services and Kafka may differ."""


class TraceForm(StrEnum):
    """Output formats."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    MERMAID = "mermaid"


def duration(text: str) -> str:
    """The text, if it is a duration.

    Raises
    ------
    typer.BadParameter
        If it is not.
    """
    from kompensa_common.durations import seconds

    try:
        seconds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


def trace(
    saga: SagaName,
    namespace: Namespace = "",
    output: Annotated[TraceForm, typer.Option("--output", "-o", help="Output format.")] = TraceForm.TABLE,
    since: Annotated[
        str, typer.Option(callback=duration, help="How far back to look for a saga that the engine does not know.")
    ] = "24h",
    late: Annotated[
        str, typer.Option(callback=duration, help="How long after a saga's end its events may have reached Kafka.")
    ] = "10m",
    timeout: Annotated[
        str, typer.Option(callback=duration, help="Give up if the topics are not read in this time.")
    ] = "1m",
    topics: Annotated[bool, typer.Option(help="Read Kafka's topics as well as the engine's journal.")] = True,
    kafka: Annotated[str, typer.Option(envvar="KOMPENSA_KAFKA", help="Bootstrap servers.")] = DEFAULT_BOOTSTRAP,
    api: ApiUrl = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Show what happened in a saga, in order: calls, results, and the events that the services published.

    An order that services place by events is not known to the engine: give its id, and the topics alone are read.
    Example: kompensa trace order-1 -n shop -o mermaid
    """
    import msgspec

    from kompensa.cli.timeline import timeline
    from kompensa.cli.timeline_text import mermaid, table

    view, log, services = with_engine(api, token, lambda engine: _journal(engine, saga, namespace))
    if view is None and not topics:
        raise UnknownSagaError(
            f"the engine has no saga {saga}: without --no-topics, Kafka is asked too", status=BAD_INPUT
        )
    saga_id = str(view["id"]) if view else str(UUID(saga))
    records = _records(kafka, saga_id, _span(view, since=since, late=late), timeout) if topics else []
    if view is None and not records:
        raise UnknownSagaError(
            f"neither the engine nor a topic of the last {since} knows saga {saga}: check the id, or look further back "
            "with --since",
            status=BAD_INPUT,
        )
    found = timeline(saga_id, view, log, records)
    if output is TraceForm.MERMAID:
        typer.echo(mermaid(found, services))
    else:
        print_as(Form(output.value), msgspec.to_builtins(found), table(found))


async def _journal(
    engine: "EngineClient", saga: str, namespace: str
) -> tuple[dict[str, Any] | None, list[dict[str, Any]], dict[str, str]]:
    """The saga's view and history, and the Participant of each step; None and nothing if it is not the engine's."""
    try:
        view = await find_saga(engine, saga, namespace)
    except UnknownSagaError:
        if not _is_id(saga):
            raise
        return None, [], {}
    services = await engine.services_of_steps(view["namespace"], view["definition"], view["revision"])
    return view, await engine.saga_log(view["id"]), services


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _span(view: dict[str, Any] | None, *, since: str, late: str) -> "TimeSpan":
    """When Kafka may have received the saga's events."""
    from kompensa_cdc.watch import Span
    from kompensa_common.durations import seconds

    now = datetime.now(UTC) + CLOCKS
    if view is None:
        return Span(now - timedelta(seconds=seconds(since)), now)
    end = datetime.fromisoformat(view["completionTime"]) if view.get("completionTime") else now
    return Span(
        datetime.fromisoformat(view["startTime"]) - CLOCKS, min(now, end + CLOCKS + timedelta(seconds=seconds(late)))
    )


def _records(kafka: str, saga_id: str, span: "TimeSpan", timeout: str) -> "list[WatchedRecord]":
    from kompensa_cdc.watch import WatchError, events_of_saga
    from kompensa_common.durations import seconds

    try:
        with _progress() as progress:
            return events_of_saga(kafka, saga_id, span, timeout=seconds(timeout), progress=progress)
    except WatchError as error:
        raise CommandError(f"{error}; --no-topics shows the engine's part alone", status=UNREACHABLE) from None


@contextmanager
def _progress() -> "Iterator[OnProgress | None]":
    """A bar on a terminal's stderr, which goes away at the end; None if there is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("reading topics"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("records", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
