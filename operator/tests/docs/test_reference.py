"""The pages of docs/reference name what there is: nothing is missing, and nothing was invented."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import typer
from typer.core import TyperGroup

from kompensa.api.app import application
from kompensa.cli.main import app
from kompensa.engine.engine import Engine
from kompensa.engine.settings import Settings
from kompensa.engine.status_publisher import NullStatusPublisher
from kompensa.handlers.sagas import FINAL
from kompensa.handlers.settings import OperatorSettings
from kompensa.model.template_linter import CALL_ROOTS, OUTPUT_ROOTS, RESULT_ROOTS
from kompensa.transport.http import HttpTransport
from kompensa_cdc.main import app as cdc_app
from kompensa_participant.settings import from_environment
from tests.support.documentation import DOCS, metrics, named, reasons, tables, texts, variables, verb
from tests.support.kinds import fields
from tests.support.memory_journal import MemoryJournal

CODE = ("operator/src", "cdc/src", "images")
IN_EXAMPLES = {"reserve-inventory", "create-order", "pm-abc"}
ONE_WORD = {"unauthorized", "overloaded"}
OF_HTTP_ITSELF = {"not-found", "method-not-allowed"}


def verbs(command: Any, path: str) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for name, nested in command.commands.items():
            yield from verbs(nested, f"{path} {name}")
    else:
        yield path


def test_the_command_line_is_described_verb_by_verb() -> None:
    there = {*verbs(typer.main.get_command(app), "kompensa"), *verbs(typer.main.get_command(cdc_app), "kompensa-cdc")}
    assert {verb(shown) for shown in named(tables("cli.md")) if shown.startswith("kompensa")} == there


async def test_the_http_api_is_described_route_by_route() -> None:
    engine = Engine(
        journal=MemoryJournal(lambda: 0.0),
        transport=HttpTransport(),
        publisher=NullStatusPublisher(),
        settings=Settings(journal_url="postgresql://nowhere"),
    )
    door = httpx.ASGITransport(application(engine, token=None))
    async with httpx.AsyncClient(transport=door, base_url="http://engine") as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    there = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert set(named(tables("http-api.md"))) - problems() == there


def problems() -> set[str]:
    """The slugs that the API's table of refusals names."""
    return {word for word in named(tables("http-api.md")) if "/" not in word}


def test_every_refusal_of_the_api_is_explained() -> None:
    words = texts("operator/src/kompensa/api")
    slugs = {word for word in words if re.fullmatch(r"[a-z]+(-[a-z]+)+", word)} - IN_EXAMPLES
    assert problems() == slugs | ONE_WORD | OF_HTTP_ITSELF
    assert problems() >= FINAL


def test_every_variable_is_described_and_read() -> None:
    stated = {name for name in named(tables("environment.md")) if name.isupper()}
    assert {name for name in stated if name.startswith("KOMPENSA_")} == variables(*CODE)
    assert stated <= texts(*CODE, "services/kit/src")


@pytest.mark.parametrize(
    ("section", "read", "required"),
    [
        ("Engine", Settings.read, {"KOMPENSA_JOURNAL_URL": "postgresql://there"}),
        ("Operator", OperatorSettings.from_environment, {"KOMPENSA_API_URL": "http://there"}),
        ("A service with the kit", from_environment, {"DATABASE_URL": "postgresql://there"}),
    ],
)
def test_saying_the_default_that_is_described_changes_nothing(
    section: str, read: Callable[[dict[str, str]], object], required: dict[str, str]
) -> None:
    rows = [(named([row])[0], named([row], 1)) for row in tables("environment.md", section)]
    described = {name: default[0] for name, default in rows if default}
    assert len(described) > 4
    for name, default in described.items():
        assert read({**required, name: default}) == read(required), name


def test_every_reason_of_a_condition_is_explained() -> None:
    given = reasons("operator/src/kompensa/handlers", "operator/src/kompensa/cluster", "cdc/src/kompensa_cdc/capture")
    assert {word for word in named(tables("conditions.md")) if word[0].isupper()} == given


def test_every_metric_is_listed() -> None:
    assert set(named(tables("metrics.md"))) == metrics("operator/src", "cdc/src", "services/kit/src")


@pytest.mark.parametrize("kind", ["Participant", "SagaDefinition"])
def test_the_fields_of_a_kind_are_those_of_its_crd(kind: str) -> None:
    shown = [f"| {' | '.join(row)} |" for row in tables("definitions.md", kind)]
    assert shown == fields(kind), "\n".join(["write these lines:", *fields(kind)])


def test_what_an_expression_may_name_is_stated_place_by_place() -> None:
    stated = [set(named([row], 1)) for row in tables("definitions.md", "Expressions")]
    assert stated == [CALL_ROOTS, CALL_ROOTS - {"steps"}, CALL_ROOTS, OUTPUT_ROOTS, RESULT_ROOTS]


def test_every_page_is_listed() -> None:
    listed = (DOCS / "reference/README.md").read_text(encoding="utf-8")
    assert all(f"({page.name})" in listed for page in (DOCS / "reference").glob("*.md") if page.name != "README.md")
