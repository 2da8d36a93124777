"""Find the saga that a user names, by its id or by its name."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompensa.cli.failures import BAD_INPUT, CommandError

if TYPE_CHECKING:
    from kompensa.client.engine_client import EngineClient

MAX_LISTED = 500
SagaName = Annotated[
    str, typer.Argument(help="The saga's id, or its name (with -n if two namespaces have one of that name).")
]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Only this namespace.", show_default="all")]


class UnknownSagaError(CommandError):
    """The engine has no such saga."""


async def find_saga(engine: "EngineClient", saga: str, namespace: str) -> dict[str, Any]:
    """Return the saga's view.

    Raises
    ------
    UnknownSagaError
        If the engine has no saga of this id or name.
    CommandError
        If this cannot be an id or a name, or several namespaces have the name.
    """
    from kompensa.client.engine_client import EngineProblemError

    if not saga or "/" in saga:
        raise CommandError(
            f"{saga!r} is not an id or a name of a saga: give its namespace with -n, for example "
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
        raise UnknownSagaError(
            f"the engine has no saga {saga} {where}. `kompensa sagas list` shows the sagas that it has. A Saga object "
            "that waits, was rejected or mirrors another Saga is not in that list: look at it with "
            f"`kubectl get sagas {objects} -o wide --field-selector metadata.name={saga}`",
            status=BAD_INPUT,
        )
    if len({view["namespace"] for view in named}) > 1:
        raise CommandError(f"several namespaces have a saga {saga}: choose one with -n", status=BAD_INPUT)
    return await engine.saga(str(named[0]["id"]))
