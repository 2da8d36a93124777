"""`kompensa sagas`: look at sagas and act on them, whether an object or an HTTP request started them."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompensa.cli.connection import DEFAULT_URL, ApiUrl, Token, with_engine
from kompensa.cli.failures import CommandError
from kompensa.cli.output import Form, Output, print_as
from kompensa.cli.saga_lookup import MAX_LISTED, Namespace, SagaName, find_saga
from kompensa.cli.saga_text import description, one_line, table, utc_now
from kompensa.model.saga import RESTING

if TYPE_CHECKING:
    from kompensa.client.engine_client import Ask, EngineClient

app = typer.Typer(
    no_args_is_help=True, help="Look at sagas and act on them, whether a Saga object or an HTTP request started them."
)
POLL_SECONDS = 0.25


def known_phase(phase: str) -> str:
    """The phase.

    Raises
    ------
    typer.BadParameter
        If there is no such phase; it lists the known ones.
    """
    from kompensa.model.saga import Phase
    from kompensa.model.view import SUSPENDED

    known = [*map(str, Phase), SUSPENDED]
    if phase and phase not in known:
        raise typer.BadParameter(f"{phase!r} is not a phase: expected one of {', '.join(known)}")
    return phase


@app.command(name="list")
def list_sagas(
    namespace: Namespace = "",
    phase: Annotated[str, typer.Option(callback=known_phase, help="Only this phase, e.g. InterventionRequired.")] = "",
    definition: Annotated[str, typer.Option(help="Only runs of this SagaDefinition.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=MAX_LISTED, help="Maximum number of sagas, newest first.")] = 50,
    output: Output = Form.TABLE,
    api: ApiUrl = DEFAULT_URL,
    token: Token = "",
) -> None:
    """List sagas.

    Example: kompensa sagas list -n shop --phase Compensated
    """
    wanted = {"namespace": namespace, "phase": phase, "definition": definition, "limit": str(limit)}
    query = {key: value for key, value in wanted.items() if value}
    found = with_engine(api, token, lambda engine: engine.sagas(query))
    print_as(output, found, table(found, now=utc_now()))


@app.command()
def get(
    saga: SagaName,
    namespace: Namespace = "",
    output: Output = Form.TABLE,
    api: ApiUrl = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Show one saga: its steps, times, result and history.

    Example: kompensa sagas get order-1 -n shop
    """

    async def read(engine: "EngineClient") -> dict[str, Any]:
        view = await find_saga(engine, saga, namespace)
        return {**view, "log": await engine.saga_log(view["id"])}

    found = with_engine(api, token, read)
    log = found["log"]
    print_as(output, found, description(found, log))


@app.command()
def watch(
    saga: SagaName,
    namespace: Namespace = "",
    timeout: Annotated[float, typer.Option(help="Seconds after which to give up.")] = 600.0,
    api: ApiUrl = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Print a line on each change until the saga has ended or waits for a person.

    The exit status is 0 only if it Succeeded. Example: kompensa sagas watch order-1 -n shop
    """
    import asyncio

    async def follow(engine: "EngineClient") -> str:
        deadline = time.monotonic() + timeout
        printed = ""
        view = await find_saga(engine, saga, namespace)
        while True:
            if (line := one_line(view)) != printed:
                typer.echo(line)
                printed = line
            if view["phase"] in RESTING:
                return str(view["phase"])
            if time.monotonic() > deadline:
                raise CommandError(
                    f"saga {saga} is still {view['phase']} after {timeout:.0f} s; watch on, or cancel it"
                )
            await asyncio.sleep(POLL_SECONDS)
            view = await engine.saga(view["id"])

    if with_engine(api, token, follow) != "Succeeded":
        raise typer.Exit(1)


@app.command()
def cancel(saga: SagaName, namespace: Namespace = "", api: ApiUrl = DEFAULT_URL, token: Token = "") -> None:
    """Ask a saga to undo its steps.

    A saga that is past its last compensatable step goes on to its end.
    Example: kompensa sagas cancel order-1 -n shop
    """
    _ask(saga, namespace, "cancel", api, token)


@app.command()
def suspend(saga: SagaName, namespace: Namespace = "", api: ApiUrl = DEFAULT_URL, token: Token = "") -> None:
    """Hold a saga: running calls end, and no new ones are made.

    Example: kompensa sagas suspend order-1 -n shop
    """
    _ask(saga, namespace, "suspend", api, token)


@app.command()
def resume(saga: SagaName, namespace: Namespace = "", api: ApiUrl = DEFAULT_URL, token: Token = "") -> None:
    """Let a suspended saga go on.

    Example: kompensa sagas resume order-1 -n shop
    """
    _ask(saga, namespace, "resume", api, token)


def _ask(saga: str, namespace: str, what: "Ask", api: str, token: str) -> None:
    async def ask(engine: "EngineClient") -> dict[str, Any]:
        view = await find_saga(engine, saga, namespace)
        await engine.ask(view["id"], what)
        return view

    view = with_engine(api, token, ask)
    typer.echo(f"saga {view['namespace']}/{view.get('name') or view['id']}: {what} asked")
