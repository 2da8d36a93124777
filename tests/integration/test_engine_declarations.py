"""The journal keeps who declared a participant or a definition, so that other and later engines know it too.

The tests use both journals, so that the one in memory behaves as the real one.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import msgspec
import pytest

from kompensa.engine.declarations import Declarations, DeclaredObject
from kompensa.journal.port import Catalogue
from kompensa.journal.postgres import PostgresJournal
from kompensa.journal.records import DefinitionRow
from kompensa_dev.postgres import Login
from tests.support.memory_journal import MemoryJournal

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


async def test_declarations_of_objects_are_distinguished_from_those_put_by_hand(catalogue: Catalogue) -> None:
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


async def test_an_object_withdraws_only_its_own_declaration(catalogue: Catalogue) -> None:
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


async def test_a_deleted_definition_can_be_declared_again(catalogue: Catalogue) -> None:
    declarations = Declarations(catalogue)
    await declarations.put_participant("shop", "stub", PARTICIPANT)
    await declarations.put_definition("shop", "order", DEFINITION, object_uid=OLD)
    await declarations.delete_definition("shop", "order", object_uid=OLD)
    await declarations.put_definition("shop", "order", DEFINITION, object_uid=NEW)
    other = await reread(catalogue)
    assert other.objects() == [DeclaredObject(kind="SagaDefinition", namespace="shop", name="order", uid=NEW)]


def steps(*names: str) -> dict[str, Any]:
    """A definition with steps of these names."""
    return {"steps": [DEFINITION["steps"][0] | {"name": name} for name in names]}


async def steps_now(catalogue: Catalogue) -> list[str]:
    """The steps of `order`, as an engine has them after reading the journal again."""
    return [step.name for step in (await reread(catalogue)).current("shop", "order").steps]


async def test_a_participant_that_is_put_at_one_engine_undoes_no_definition_put_at_another(
    catalogue: Catalogue,
) -> None:
    first, second = Declarations(catalogue), Declarations(catalogue)
    await first.put_participant("shop", "stub", PARTICIPANT)
    await first.put_definition("shop", "order", steps("reserve", "pay"))
    await second.load()
    await second.put_definition("shop", "order", steps("reserve", "ship"), object_uid=NEW)
    await first.put_participant("shop", "stub", PARTICIPANT | {"idempotency": "Keyed"})
    other = await reread(catalogue)
    assert [(step.name, step.keyed) for step in other.current("shop", "order").steps] == [
        ("reserve", True),
        ("ship", True),
    ]
    assert other.objects() == [DeclaredObject(kind="SagaDefinition", namespace="shop", name="order", uid=NEW)]


async def test_a_definition_that_another_engine_has_replaced_can_be_put_back(catalogue: Catalogue) -> None:
    first, second = Declarations(catalogue), Declarations(catalogue)
    await first.put_participant("shop", "stub", PARTICIPANT)
    await first.put_definition("shop", "order", steps("reserve"))
    await second.load()
    await second.put_participant("shop", "stub", {"url": "http://elsewhere:8080"})
    await second.put_definition("shop", "order", steps("ship"))
    await first.put_participant("shop", "stub", PARTICIPANT)
    await first.put_definition("shop", "order", steps("reserve"))
    assert (await reread(catalogue)).participants("shop") == {"stub": PARTICIPANT}
    assert await steps_now(catalogue) == ["reserve"]


async def test_a_definition_may_name_a_participant_that_only_another_engine_knows(catalogue: Catalogue) -> None:
    first, second = Declarations(catalogue), Declarations(catalogue)
    await first.load()
    await second.put_participant("shop", "stub", PARTICIPANT)
    await first.put_definition("shop", "order", steps("reserve"))
    assert await steps_now(catalogue) == ["reserve"]


class Overtaken:
    """A catalogue in which another engine puts or deletes a definition just before this one can."""

    def __init__(self, catalogue: Catalogue, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self._catalogue = catalogue
        self._meanwhile: Callable[[], Awaitable[object]] | None = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalogue, name)

    async def put_definition(self, row: DefinitionRow, **conditions: Any) -> bool:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return await self._catalogue.put_definition(row, **conditions)


@pytest.mark.parametrize("object_uid", [None, NEW])
async def test_a_definition_that_changes_while_it_follows_its_participant_is_read_again(
    catalogue: Catalogue, object_uid: str | None
) -> None:
    other = Declarations(catalogue)
    await other.put_participant("shop", "stub", PARTICIPANT)
    await other.put_definition("shop", "order", steps("reserve", "pay"))

    async def changed() -> None:
        await other.put_definition("shop", "order", steps("reserve", "ship"), object_uid=object_uid)

    overtaken = Declarations(cast(Catalogue, Overtaken(catalogue, changed)))
    await overtaken.put_participant("shop", "stub", PARTICIPANT | {"idempotency": "Keyed"})
    now = await reread(catalogue)
    assert [(step.name, step.keyed) for step in now.current("shop", "order").steps] == [
        ("reserve", True),
        ("ship", True),
    ]
    assert [declared.uid for declared in now.objects()] == ([object_uid] if object_uid else [])


async def test_a_definition_that_only_changes_hands_meanwhile_stays_with_its_new_object(catalogue: Catalogue) -> None:
    other = Declarations(catalogue)
    await other.put_participant("shop", "stub", PARTICIPANT)
    await other.put_definition("shop", "order", DEFINITION, object_uid=OLD)

    async def taken_over() -> None:
        await catalogue.put_definition(msgspec.structs.replace((await catalogue.definitions())[0], object_uid=NEW))

    overtaken = Declarations(cast(Catalogue, Overtaken(catalogue, taken_over)))
    await overtaken.put_participant("shop", "stub", PARTICIPANT | {"idempotency": "Keyed"})
    now = await reread(catalogue)
    assert [step.keyed for step in now.current("shop", "order").steps] == [True]
    assert now.objects() == [DeclaredObject(kind="SagaDefinition", namespace="shop", name="order", uid=NEW)]


async def test_a_definition_that_is_deleted_while_it_follows_its_participant_stays_deleted(
    catalogue: Catalogue,
) -> None:
    other = Declarations(catalogue)
    await other.put_participant("shop", "stub", PARTICIPANT)
    await other.put_definition("shop", "order", DEFINITION)
    overtaken = Declarations(cast(Catalogue, Overtaken(catalogue, lambda: other.delete_definition("shop", "order"))))
    await overtaken.put_participant("shop", "stub", PARTICIPANT | {"idempotency": "Keyed"})
    assert (await reread(catalogue)).definitions("shop") == {}
