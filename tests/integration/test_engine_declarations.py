"""Who declared a participant or a definition, as the journal keeps it: another engine, or a later one, knows it too.

Against both journals, so that the one in memory stays an honest stand-in.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kompensa.dev.postgres import Login
from kompensa.engine.declarations import Declarations, DeclaredObject
from kompensa.journal.memory import MemoryJournal
from kompensa.journal.port import Catalogue
from kompensa.journal.postgres import PostgresJournal

OLD, NEW = "0d2ff2c4-0b5f-4f0e-b0fe-0f4c1d8f6c11", "0d2ff2c4-0b5f-4f0e-b0fe-0f4c1d8f6c22"
PARTICIPANT = {"url": "http://stub:8080"}
DEFINITION: dict[str, Any] = {
    "steps": [
        {
            "name": "reserve",
            "participantRef": {"name": "stub"},
            "action": {"http": {"path": "/reserve"}},
            "compensation": {"http": {"path": "/reserve/undo"}},
        }
    ]
}


@pytest.fixture(params=["postgres", "memory"])
async def catalogue(request: pytest.FixtureRequest) -> AsyncIterator[Catalogue]:
    if request.param == "memory":
        yield MemoryJournal(lambda: 0.0).catalogue
        return
    login: Login = request.getfixturevalue("database")
    journal = PostgresJournal(login.url)
    await journal.open()
    yield journal.catalogue
    await journal.close()


async def reread(catalogue: Catalogue) -> Declarations:
    """As another engine sees it."""
    declarations = Declarations(catalogue)
    await declarations.load()
    return declarations


async def test_what_objects_declared_is_told_from_what_was_put_by_hand(catalogue: Catalogue) -> None:
    declarations = Declarations(catalogue)
    await declarations.put_participant("shop", "stub", PARTICIPANT, object_uid=OLD)
    await declarations.put_participant("shop", "by-hand", PARTICIPANT)
    await declarations.put_definition("shop", "order", DEFINITION, object_uid=NEW)
    await declarations.put_definition("shop", "by-hand", DEFINITION)
    objects = [
        DeclaredObject(kind="Participant", namespace="shop", name="stub", uid=OLD),
        DeclaredObject(kind="SagaDefinition", namespace="shop", name="order", uid=NEW),
    ]
    assert declarations.objects() == objects
    assert (await reread(catalogue)).objects() == objects


async def test_an_object_takes_back_only_what_it_declared_itself(catalogue: Catalogue) -> None:
    declarations = Declarations(catalogue)
    await declarations.put_participant("shop", "stub", PARTICIPANT, object_uid=OLD)
    await declarations.put_definition("shop", "order", DEFINITION, object_uid=OLD)
    await declarations.put_participant("shop", "stub", PARTICIPANT, object_uid=NEW)
    await declarations.put_definition("shop", "order", DEFINITION)
    assert not await declarations.delete_participant("shop", "stub", object_uid=OLD)
    assert not await declarations.delete_definition("shop", "order", object_uid=OLD)
    other = await reread(catalogue)
    assert [declarations.participants("shop"), other.participants("shop")] == [{"stub": PARTICIPANT}] * 2
    assert [list(declarations.definitions("shop")), list(other.definitions("shop"))] == [["order"]] * 2
    assert await declarations.delete_participant("shop", "stub", object_uid=NEW)
    assert await declarations.delete_definition("shop", "order")
    other = await reread(catalogue)
    assert [declarations.participants("shop"), other.participants("shop")] == [{}] * 2
    assert [declarations.definitions("shop"), other.definitions("shop")] == [{}] * 2


async def test_a_definition_whose_participant_changed_stays_with_its_object(catalogue: Catalogue) -> None:
    declarations = Declarations(catalogue)
    await declarations.put_participant("shop", "stub", PARTICIPANT)
    first = await declarations.put_definition("shop", "order", DEFINITION, object_uid=OLD)
    await declarations.put_participant("shop", "stub", PARTICIPANT | {"idempotency": "Keyed"})
    other = await reread(catalogue)
    assert other.current("shop", "order").revision != first
    assert other.objects() == [DeclaredObject(kind="SagaDefinition", namespace="shop", name="order", uid=OLD)]


async def test_a_definition_that_was_deleted_can_be_declared_anew(catalogue: Catalogue) -> None:
    declarations = Declarations(catalogue)
    await declarations.put_participant("shop", "stub", PARTICIPANT)
    await declarations.put_definition("shop", "order", DEFINITION, object_uid=OLD)
    await declarations.delete_definition("shop", "order", object_uid=OLD)
    await declarations.put_definition("shop", "order", DEFINITION, object_uid=NEW)
    other = await reread(catalogue)
    assert other.objects() == [DeclaredObject(kind="SagaDefinition", namespace="shop", name="order", uid=NEW)]
