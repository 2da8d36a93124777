"""The command `kompensa-cdc`: run a Replica's worker, rewind it, retry its parked events.

Composition only.
"""

import asyncio
import gc
import os
import signal
from pathlib import Path
from typing import Annotated, Any, NoReturn

import psycopg
import typer
import yaml
from aiohttp import web

from kompensa_cdc.event_schema import InvalidSchemaError, payload_check
from kompensa_cdc.replicas import InvalidReplicaError, ReplicaSpec, Worker, replica_from_object, retry_parked
from kompensa_cdc.replicas import rewind as rewind_replica
from kompensa_cdc.replicas.endpoints import application
from kompensa_cdc.replicas.table import TargetError
from kompensa_common.databases import database_url as complete
from kompensa_common.logs import level_of, log_as_json
from kompensa_common.secrets import UnusableValueError
from kompensa_common.tracing import Spans, TracingSettingsError, spans_of_environment
from kompensa_consumer.database import trouble

app = typer.Typer(help="Keep copies of other services' data.", no_args_is_help=True, pretty_exceptions_enable=False)

SpecPath = Annotated[Path, typer.Option("--spec", envvar="REPLICA_SPEC", help="YAML or JSON file of the Replica.")]
DatabaseUrl = Annotated[str, typer.Option(envvar="DATABASE_URL", help="postgresql://user:password@host:port/database")]
Bootstrap = Annotated[str, typer.Option("--kafka", envvar="KOMPENSA_KAFKA", help="Bootstrap servers, host:port.")]


@app.command()
def replica(
    spec: SpecPath,
    database_url: DatabaseUrl,
    kafka: Bootstrap,
    host: Annotated[str, typer.Option(envvar="STATUS_HOST", help="Address to listen on; empty: all.")] = "",
    port: Annotated[int, typer.Option(envvar="STATUS_PORT")] = 8080,
    log_level: Annotated[str, typer.Option(envvar="LOG_LEVEL")] = "info",
) -> None:
    """Keep one copy up to date until SIGTERM."""
    log_as_json(_level(log_level))
    _collect_seldom()
    asyncio.run(_serve(_load(spec), bootstrap=kafka, database_url=_completed(database_url), host=host, port=port))


@app.command()
def rewind(spec: SpecPath, database_url: DatabaseUrl) -> None:
    """Read the copy's topics again from their beginning. Rows that are up to date are not written again."""
    loaded, database_url = _load(spec), _completed(database_url)
    try:
        partitions = asyncio.run(rewind_replica(loaded, database_url=database_url))
    except (psycopg.Error, OSError) as error:
        _fail(trouble(database_url, error))
    typer.echo(f"{loaded.replica}: {partitions} partitions set back to the beginning; a running worker reads again")


@app.command()
def retry(
    spec: SpecPath,
    database_url: DatabaseUrl,
    key: Annotated[str | None, typer.Option(help="Retry only this key; by default, all parked keys.")] = None,
) -> None:
    """Retry parked events, after the table, schema or declaration was fixed. Keys that still do not fit stay parked."""
    loaded, database_url = _load(spec), _completed(database_url)
    try:
        retried = asyncio.run(retry_parked(loaded, database_url=database_url, key=key))
    except (psycopg.Error, OSError) as error:
        _fail(trouble(database_url, error))
    except TargetError as error:
        _fail(str(error))
    for parked, reason in retried.rejected.items():
        typer.echo(f"{parked} stays parked: {reason}")
    typer.echo(f"{loaded.replica}: {len(retried.applied)} keys applied, {len(retried.rejected)} still parked")


async def _serve(spec: ReplicaSpec, *, bootstrap: str, database_url: str, host: str, port: int) -> None:
    spans = _spans()
    worker = Worker(spec, bootstrap=bootstrap, database_url=database_url, spans=spans)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    runner = web.AppRunner(application(worker.progress, worker.metrics), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        await worker.run()
    finally:
        await runner.cleanup()
        if spans is not None:
            await asyncio.to_thread(spans.close)


def _collect_seldom() -> None:
    """Run the garbage collector less often than Python does by default.

    A batch is tens of thousands of live objects without a cycle. By default the collector walks them again and again,
    which took 40 % of a busy worker's time (measured).
    """
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)


def _load(path: Path) -> ReplicaSpec:
    try:
        document: Any = yaml.safe_load(path.read_text())
        spec = replica_from_object(document if isinstance(document, dict) else {})
        payload_check(spec.event_schema)
    except (OSError, yaml.YAMLError, InvalidReplicaError, InvalidSchemaError) as error:
        _fail(f"{path}: {error}")
    return spec


def _spans() -> Spans | None:
    try:
        return spans_of_environment("kompensa-replica")
    except TracingSettingsError as error:
        _fail(str(error))


def _completed(database_url: str) -> str:
    try:
        return complete({**os.environ, "DATABASE_URL": database_url}, "DATABASE_URL")
    except UnusableValueError as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(2)


def _level(text: str) -> str:
    try:
        return level_of(text)
    except ValueError as error:
        _fail(str(error))


if __name__ == "__main__":
    app()
