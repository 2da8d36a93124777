"""`kompensa lint`: find what is wrong with definitions before a saga uses them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kompensa.cli.output import Form, Output, print_as

if TYPE_CHECKING:
    from kompensa.manifests.documents import Document


def lint(
    files: Annotated[list[Path], typer.Argument(help="YAML files or folders.", show_default=False)],
    output: Output = Form.TABLE,
) -> None:
    """Check SagaDefinitions and Participants in YAML files. Each finding names the step and what to do.

    Give the files of the Participants too. The exit status is 1 if there are findings.

    Example: kompensa lint manifests/shop
    """
    from kompensa.manifests.documents import load

    documents = load(files)
    found = list(findings(documents))
    checked = sum(document.kind in ("SagaDefinition", "Participant") for document in documents)
    summary = f"{checked} objects checked, {len(found)} findings"
    print_as(output, {"checked": checked, "findings": found}, "\n".join([*found, summary]))
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
