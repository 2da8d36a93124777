"""`kompensa apply`: hand YAML to an engine without a cluster."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kompensa.cli.connection import DEFAULT_URL, ApiUrl, Token, with_engine
from kompensa.cli.failures import BAD_INPUT, CommandError

if TYPE_CHECKING:
    from kompensa.client.engine_client import EngineClient


def apply(
    files: Annotated[list[Path], typer.Argument(help="YAML files or folders.", show_default=False)],
    api: ApiUrl = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Apply Participants, SagaDefinitions and Sagas to the engine of `kompensa dev`.

    On a cluster, use `kubectl apply`: the operator then hands the objects to the engine.

    Example: kompensa apply my-participant.yaml my-saga.yaml
    """
    from kompensa.manifests.apply import FOR_ENGINE, apply_documents
    from kompensa.manifests.documents import load

    documents = load(files)
    for other in (document for document in documents if document.kind not in FOR_ENGINE):
        raise CommandError(
            f"{other.source}: {other} is not an object for the engine: give the file to `kompensa dev --file`",
            status=BAD_INPUT,
        )
    if not documents:
        raise CommandError(f"{', '.join(map(str, files))}: no object of kompensa.dev/v1alpha1 found", status=BAD_INPUT)

    async def apply_all(engine: "EngineClient") -> None:
        await apply_documents(engine, documents, typer.echo)

    with_engine(api, token, apply_all)
