"""`kompensa sagas`: look at runs and act on them, whether they were born of an object or of a request."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompensa.cli.connection import DEFAULT_URL, ApiUrl, Token, with_engine
from kompensa.cli.failures import BAD_INPUT, CommandError
from kompensa.cli.output import Form, Output, print_as
from kompensa.cli.saga_text import description, one_line, table, utc_now
from kompensa.model.saga import RESTING

if TYPE_CHECKING:
    from kompensa.cluster.engine_client import Ask, EngineClient

app = typer.Typer(no_args_is_help=True, help="Look at sagas and act on them, object-born or started over HTTP.")
POLL_SECONDS = 0.25
MAX_LISTED = 500

SagaName = Annotated[str, typer.Argument(help="The saga's id, or its name (with -n when two namespaces have it).")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Only this namespace.", show_default="all")]


def known_phase(phase: str) -> str:
    """The phase, or bad input that names those there are."""
    from kompensa.model.saga import Phase
    from kompensa.model.view import SUSPENDED

    known = [*map(str, Phase), SUSPENDED]
    if phase and phase not in known:
        raise typer.BadParameter(f"{phase!r} is no phase: expected one of {', '.join(known)}")
    return phase


@app.command(name="list")
def list_sagas(
    namespace: Namespace = "",
    phase: Annotated[str, typer.Option(callback=known_phase, help="Only this phase, e.g. InterventionRequired.")] = "",
    definition: Annotated[str, typer.Option(help="Only runs of this SagaDefinition.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=MAX_LISTED, help="At most so many, newest first.")] = 50,
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
        view = await _find(engine, saga, namespace)
        return {**view, "log": await engine.saga_log(view["id"])}

    found = with_engine(api, token, read)
    log = found["log"]
    print_as(output, found, description(found, log))


@app.command()
def watch(
    saga: SagaName,
    namespace: Namespace = "",
    timeout: Annotated[float, typer.Option(help="Give up after so many seconds.")] = 600.0,
    api: ApiUrl = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Print a line on each change until the saga has ended; the exit status is 0 only when it Succeeded."""
    import asyncio

    async def follow(engine: "EngineClient") -> str:
        deadline = time.monotonic() + timeout
        printed = ""
        view = await _find(engine, saga, namespace)
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
    """Ask a saga to undo what it did. One that is past its last compensatable step goes on to its end."""
    _ask(saga, namespace, "cancel", api, token)


@app.command()
def suspend(saga: SagaName, namespace: Namespace = "", api: ApiUrl = DEFAULT_URL, token: Token = "") -> None:
    """Hold a saga: calls under way settle, no new ones are made."""
    _ask(saga, namespace, "suspend", api, token)


@app.command()
def resume(saga: SagaName, namespace: Namespace = "", api: ApiUrl = DEFAULT_URL, token: Token = "") -> None:
    """Let a suspended saga go on."""
    _ask(saga, namespace, "resume", api, token)


def _ask(saga: str, namespace: str, what: "Ask", api: str, token: str) -> None:
    async def ask(engine: "EngineClient") -> dict[str, Any]:
        view = await _find(engine, saga, namespace)
        await engine.ask(view["id"], what)
        return view

    view = with_engine(api, token, ask)
    typer.echo(f"saga {view['namespace']}/{view.get('name') or view['id']}: {what} asked")


async def _find(engine: "EngineClient", saga: str, namespace: str) -> dict[str, Any]:
    from kompensa.cluster.engine_client import EngineProblemError

    if not saga or "/" in saga:
        raise CommandError(
            f"{saga!r} is no saga: expected an id or a name; its namespace goes into -n, as in "
            "`kompensa sagas get order-1 -n shop`",
            status=BAD_INPUT,
        )
    try:
        return await engine.saga(saga)
    except EngineProblemError as problem:
        if problem.status not in (404, 422):
            raise
    query = {"name": saga, "limit": str(MAX_LISTED), **({"namespace": namespace} if namespace else {})}
    named = await engine.sagas(query)
    if not named:
        where = f"in namespace {namespace}" if namespace else "in any namespace"
        objects = f"-n {namespace}" if namespace else "-A"
        raise CommandError(
            f"the engine has no run of the name {saga} {where}. A Saga object that waits, was refused, or shows "
            f"another's run has none of its own: `kubectl get sagas {objects} -o wide "
            f"--field-selector metadata.name={saga}` tells. `kompensa sagas list` shows the runs there are",
            status=BAD_INPUT,
        )
    if len({view["namespace"] for view in named}) > 1:
        raise CommandError(f"several namespaces have a saga {saga}: choose one with -n", status=BAD_INPUT)
    return await engine.saga(str(named[0]["id"]))
