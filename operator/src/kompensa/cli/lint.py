"""`kompensa lint`: what is wrong with definitions, before anything runs by them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kompensa.manifests.documents import Document


def lint(files: Annotated[list[Path], typer.Argument(help="YAML files or folders.", show_default=False)]) -> None:
    """Check SagaDefinitions and Participants in YAML files; every finding names the step and what to do.

    Participants that a definition names must be among the files.

    Example: kompensa lint manifests/shop
    """
    from kompensa.manifests.documents import load

    documents = load(files)
    found = list(findings(documents))
    for line in found:
        typer.echo(line)
    checked = sum(document.kind in ("SagaDefinition", "Participant") for document in documents)
    typer.echo(f"{checked} objects checked, {len(found)} findings")
    if found:
        raise typer.Exit(1)


def findings(documents: "Sequence[Document]") -> Iterator[str]:
    """Every finding as a line `file: object: finding`."""
    from kompensa.manifests.documents import of_kind
    from kompensa.model.linter import lint as lint_definition
    from kompensa.model.parsing import SpecError, parse_definition, parse_participant
    from kompensa.model.specs import ParticipantSpec

    participants: dict[str, dict[str, ParticipantSpec]] = {}
    for document in of_kind(documents, "Participant"):
        try:
            participants.setdefault(document.namespace, {})[document.name] = parse_participant(document.spec)
        except SpecError as error:
            yield f"{document.source}: {document}: {error}"
    for document in of_kind(documents, "SagaDefinition"):
        try:
            found = lint_definition(parse_definition(document.spec), participants.get(document.namespace, {}))
        except SpecError as error:
            found = [str(error)]
        yield from (f"{document.source}: {document}: {line}" for line in found)
