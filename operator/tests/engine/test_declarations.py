"""Participants and definitions: what a saga was started with stays, where a participant is may change."""

import asyncio

import msgspec
import pytest

from kompensa.engine.errors import DefinitionInvalidError, ParticipantInvalidError, UnknownDefinitionError
from kompensa.journal.errors import JournalUnavailableError
from kompensa.journal.records import DefinitionRow, ParticipantRow
from tests.support.engine_world import NAMESPACE, EngineWorld, definition_spec
from tests.support.journal_link import unnoticed
from tests.support.waiting import until


async def test_a_running_saga_keeps_the_revision_it_was_started_with() -> None:
    async with EngineWorld() as world:
        old = await world.declare("reserve", "pay")
        world.transport.hold("action reserve")
        running = await world.start()
        await world.until_called("action reserve")
        new = await world.declare("reserve", "ship")
        world.transport.release("action reserve")
        view = await world.until_phase(running, "Succeeded")
        assert (view.revision, [step.name for step in view.steps]) == (old, ["reserve", "pay"])
        later = await world.until_phase(await world.start(), "Succeeded")
        assert (later.revision, [step.name for step in later.steps]) == (new, ["reserve", "ship"])
        assert old != new


async def test_a_successor_runs_a_saga_by_the_revision_it_was_started_with() -> None:
    async with EngineWorld() as world:
        old = await world.declare("reserve", "pay")
        world.transport.hold("action reserve")
        running = await world.start()
        await world.until_called("action reserve")
        await world.declare("reserve", "ship")
        await world.first.declarations.delete_definition(NAMESPACE, "order")
        await world.crash_first()
        world.transport.release("action reserve")
        await world.engine()
        assert (await world.until_phase(running, "Succeeded")).revision == old
        assert world.transport.calls[-1] == "action pay"


async def test_the_same_definition_again_is_the_same_revision() -> None:
    async with EngineWorld() as world:
        assert await world.declare("reserve") == await world.declare("reserve")


async def test_a_participant_that_moves_changes_no_revision_and_is_called_where_it_is_now() -> None:
    async with EngineWorld() as world:
        revision = await world.declare("reserve")
        await world.declare_participant(url="http://elsewhere")
        found = world.first.declarations.participant(NAMESPACE, "stub")
        assert found is not None
        assert str(found.endpoint) == "http://elsewhere"
        assert world.first.declarations.current(NAMESPACE, "order").revision == revision


async def test_a_participant_that_promises_less_makes_a_new_revision() -> None:
    async with EngineWorld() as world:
        keyed = await world.declare("reserve")
        await world.declare_participant(idempotency="None")
        definition = world.first.declarations.current(NAMESPACE, "order")
        assert definition.revision != keyed
        assert not definition.steps[0].keyed


async def test_a_participant_that_breaks_one_definition_is_taken_and_the_others_follow_it() -> None:
    async with EngineWorld() as world:
        strict = definition_spec("reserve")
        strict["steps"][0]["timeouts"] = {"total": "3s"}
        declarations = world.first.declarations
        await world.declare_participant()
        # The one that breaks is put between two that do not.
        for name, spec in (("a", definition_spec("a")), ("broken", strict), ("c", definition_spec("c"))):
            await declarations.put_definition(NAMESPACE, name, spec)
        before = {name: revision for name, (revision, _) in declarations.definitions(NAMESPACE).items()}
        await world.declare_participant(timeout="5s")
        after = {name: revision for name, (revision, _) in declarations.definitions(NAMESPACE).items()}
        assert {name for name in before if before[name] != after[name]} == {"a", "c"}
        with pytest.raises(DefinitionInvalidError, match=r"timeouts\.total"):
            await declarations.put_definition(NAMESPACE, "broken", strict)


async def test_a_change_that_was_cut_off_half_way_is_completed_by_asking_again() -> None:
    """The participant was stored, its definitions were not: they would go on trusting a promise that was withdrawn."""
    async with EngineWorld() as world:
        await world.declare("reserve")
        link = world.links[world.first]

        async def cut(question: str) -> None:
            if question == "catalogue.put_definition":
                raise JournalUnavailableError("the journal is away")

        link.before = cut
        with pytest.raises(JournalUnavailableError):
            await world.declare_participant(idempotency="None")
        link.before = unnoticed
        await world.declare_participant(idempotency="None")
        assert not world.first.declarations.current(NAMESPACE, "order").steps[0].keyed


async def test_a_definition_is_known_at_once_to_an_engine_that_was_not_told() -> None:
    async with EngineWorld() as world:
        second = await world.engine("two")
        await until(lambda: second.trouble is None, "the second engine to own shards")
        world.journal._watchers.clear()
        await world.declare("reserve")
        await world.until_phase(await world.start(engine=second), "Succeeded")


async def test_a_participant_that_is_put_at_an_engine_that_was_not_told_undoes_no_definition() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        second = await world.engine("two")
        await until(lambda: second.trouble is None, "the second engine to own shards")
        world.journal._watchers.clear()
        await second.declarations.put_definition(NAMESPACE, "order", definition_spec("reserve", "ship"))
        await world.declare_participant(idempotency="None")
        view = await world.until_phase(await world.start(), "Succeeded")
        assert [step.name for step in view.steps] == ["reserve", "ship"]


async def test_a_flood_of_wrong_names_is_no_flood_of_readings() -> None:
    """One for the first, and one for all that came while that was under way."""
    readings = []

    async def reading(question: str) -> None:
        if question == "catalogue.definitions":
            readings.append(question)
            await asyncio.sleep(0.1)

    async with EngineWorld() as world:
        world.links[world.first].before = reading
        refused = await asyncio.gather(
            *(world.start(f"wrong-{number}") for number in range(50)), return_exceptions=True
        )
    assert all(isinstance(error, UnknownDefinitionError) for error in refused)
    assert len(readings) == 2


async def test_other_engines_learn_of_a_change() -> None:
    async with EngineWorld() as world:
        second = await world.engine("two")
        await world.declare("reserve")
        revision = await world.declare("reserve", "pay")

        def learnt() -> bool:
            return second.declarations.definitions(NAMESPACE).get("order", ("", {}))[0] == revision

        await until(learnt, "the second engine to know the new revision")


async def test_a_deleted_definition_starts_nothing() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        assert await world.first.declarations.delete_definition(NAMESPACE, "order")
        assert not await world.first.declarations.delete_definition(NAMESPACE, "order")
        with pytest.raises(UnknownDefinitionError, match="none"):
            await world.start()


async def test_a_participant_that_is_gone_parks_the_saga_that_needs_it() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        world.transport.hold("action reserve")
        saga = await world.start()
        await world.until_called("action reserve")
        await world.first.declarations.delete_participant(NAMESPACE, "stub")
        world.transport.release("action reserve")
        view = await world.until_phase(saga, "InterventionRequired")
        assert view.reason == "ParticipantNotFound"
        assert "Participant stub" in (view.message or "")
        await world.declare_participant()
        await world.first.sagas.ask(saga, "resume")
        await world.until_phase(saga, "Succeeded")


async def test_every_finding_about_a_definition_is_told_at_once() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        spec = definition_spec("a", "b")
        spec["steps"][0]["participantRef"]["name"] = "nobody"
        spec["steps"][1]["dependsOn"] = ["c"]
        with pytest.raises(DefinitionInvalidError) as refused:
            await world.first.declarations.put_definition(NAMESPACE, "broken", spec)
        assert len(refused.value.findings) == 2


@pytest.mark.parametrize("name", ["Reserve", "re serve", "reserve\n", "", "-a"])
async def test_a_steps_name_is_one_line_that_fits_into_a_key(name: str) -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        with pytest.raises(DefinitionInvalidError, match="lower-case letters"):
            await world.first.declarations.put_definition(NAMESPACE, "broken", definition_spec(name))


async def test_a_participant_that_cannot_be_read_is_refused() -> None:
    async with EngineWorld() as world:
        with pytest.raises(ParticipantInvalidError, match="url"):
            await world.declare_participant(url="stub:8080")


@pytest.mark.parametrize("url", ["http://stub:99999", "http://me:secret@stub"])
async def test_a_url_that_an_earlier_version_took_does_not_keep_its_sagas_from_being_recovered(url: str) -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.hold("action reserve")
        running = await world.start()
        await world.until_called("action reserve")
        catalogue = world.journal.catalogue
        spec = {"url": url, "idempotency": "Keyed"}
        text = msgspec.json.encode(spec).decode()
        await catalogue.put_participant(ParticipantRow(namespace=NAMESPACE, name="stub", spec=text))
        for row in await catalogue.definitions():
            declared = msgspec.json.decode(row.spec) | {"participants": {"stub": spec}}
            await catalogue.put_definition(msgspec.structs.replace(row, spec=msgspec.json.encode(declared).decode()))
        await world.crash_first()
        world.transport.release("action reserve")
        await world.engine()
        await world.until_phase(running, "Succeeded")


async def test_a_declaration_that_this_version_cannot_read_does_not_keep_the_engine_from_starting() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        newer = '{"spec":{"steps":[{"kind":"Quantum"}]},"participants":{}}'
        rows = world.journal.catalogue
        await rows.put_definition(DefinitionRow(namespace=NAMESPACE, name="newer", revision="1", spec=newer))
        await rows.put_participant(ParticipantRow(namespace=NAMESPACE, name="newer", spec='{"grpc":"x"}'))
        await world.crash_first()
        await world.engine()
        await world.until_phase(await world.start(), "Succeeded")
        with pytest.raises(UnknownDefinitionError, match="order"):
            await world.start("newer")


async def test_a_token_is_kept_and_not_shown() -> None:
    async with EngineWorld() as world:
        spec = {"url": "http://stub"}
        await world.first.declarations.put_participant(NAMESPACE, "stub", spec, "secret")
        found = world.first.declarations.participant(NAMESPACE, "stub")
        assert found is not None
        assert found.token == "secret"
        assert world.first.declarations.participants(NAMESPACE) == {"stub": spec}
