"""`kompensa watch`: follow topics, as `kompensa sagas watch` follows a saga."""

from typing import TYPE_CHECKING, Annotated

import typer

from kompensa.cli.failures import BAD_INPUT, UNREACHABLE, CommandError
from kompensa.cli.output import Form, print_as

if TYPE_CHECKING:
    from kompensa_cdc.watch import Start

DEFAULT_BOOTSTRAP = "127.0.0.1:19092"


def watch(
    topics: Annotated[list[str] | None, typer.Argument(help="Topics; without any: list all topics.")] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Start with the oldest record that the topics hold.")
    ] = False,
    last: Annotated[int, typer.Option(min=0, help="Start with the last N records.")] = 0,
    key: Annotated[str, typer.Option(help="Only records with this key.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="End after N records; 0: go on until Ctrl-C.")] = 0,
    output: Annotated[
        Form, typer.Option("--output", "-o", help="table: for people; json: one line for each record.")
    ] = Form.TABLE,
    kafka: Annotated[str, typer.Option(envvar="KOMPENSA_KAFKA", help="Bootstrap servers.")] = DEFAULT_BOOTSTRAP,
) -> None:
    """Follow topics: print each record with its key, headers, body and lag.

    Example: kompensa watch orders.customer-created --last 5
    """
    if output is Form.YAML:
        raise CommandError("watch prints table or json, not yaml", status=BAD_INPUT)
    if from_beginning and last:
        raise CommandError("--from-beginning and --last exclude each other", status=BAD_INPUT)
    from kompensa_cdc.watch import Beginning, Last, Latest, UnknownTopicError, WatchError, topic_names

    try:
        if not topics:
            names = list(topic_names(kafka))
            print_as(output, names, "\n".join(names) or "Kafka has no topics yet.")
            return
        start = Beginning() if from_beginning else Last(last) if last else Latest()
        _follow(kafka, topics, start, key=key or None, limit=limit, as_json=output is Form.JSON)
    except UnknownTopicError as error:
        raise CommandError(str(error), status=BAD_INPUT) from None
    except WatchError as error:
        raise CommandError(str(error), status=UNREACHABLE) from None


def _follow(kafka: str, topics: list[str], start: "Start", *, key: str | None, limit: int, as_json: bool) -> None:
    from rich.console import Console

    from kompensa_cdc.watch import follow, record_json, record_pretty

    console = Console()
    seen = 0
    for record in follow(kafka, topics, start=start, key=key):
        if record is None:
            continue
        if as_json:
            typer.echo(record_json(record))
        else:
            console.print(record_pretty(record))
        seen += 1
        if seen == limit:
            return
