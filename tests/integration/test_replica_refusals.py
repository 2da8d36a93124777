"""An event whose values cause an error is parked alone; if the table is at fault, nothing is parked."""

import psycopg
import pytest

from kompensa_dev.postgres import Login

from .copies import Change, execute
from .writer_desk import copy_of, desk, ids, parked, rows

TABLE = "CREATE TABLE invoices.things (id text PRIMARY KEY, version bigint, name text);"
TRIGGER = """
CREATE FUNCTION invoices.judge() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE found int; BEGIN IF {condition} THEN {body}; END IF; RETURN NEW; END $$;
CREATE TRIGGER judge BEFORE INSERT ON invoices.things FOR EACH ROW EXECUTE FUNCTION invoices.judge();
"""
POLICY = """
ALTER TABLE invoices.things ENABLE ROW LEVEL SECURITY;
ALTER TABLE invoices.things FORCE ROW LEVEL SECURITY;
CREATE POLICY only_good ON invoices.things USING (name = 'good') WITH CHECK (name = 'good');
"""
LATE_REFERENCE = """
CREATE TABLE invoices.names (name text PRIMARY KEY);
INSERT INTO invoices.names VALUES ('good');
ALTER TABLE invoices.things ADD FOREIGN KEY (name) REFERENCES invoices.names DEFERRABLE INITIALLY DEFERRED;
"""


def trigger(body: str, *, condition: str = "NEW.name = 'bad'") -> str:
    return TRIGGER.format(body=body, condition=condition)


def named(key: str, name: str, *, version: int = 1) -> Change:
    return Change(key=key, version=version, payload={"name": name})


REFUSALS = {
    "a policy": POLICY,
    "a deferred reference": LATE_REFERENCE,
    "a state of its own": trigger("RAISE EXCEPTION 'no' USING ERRCODE = 'MY001'"),
    "nothing found": trigger("SELECT 1 INTO STRICT found WHERE false"),
    "an assertion": trigger("ASSERT false, 'never'"),
    "no state for this": trigger("RAISE object_not_in_prerequisite_state"),
    "no right to this": trigger("RAISE insufficient_privilege"),
    "a missing function": trigger("PERFORM invoices.nope()"),
    "an internal error": trigger("RAISE internal_error"),
}


@pytest.mark.parametrize("ddl", REFUSALS.values(), ids=REFUSALS.keys())
async def test_any_rejection_of_one_event_parks_that_event_alone(things: Login, ddl: str) -> None:
    execute(things, TABLE + ddl)
    async with desk(things, replica=copy_of("name")) as writing:
        await writing.write([named("a", "good"), named("b", "bad"), named("c", "good")])

    assert ids(things) == ["a", "c"]
    assert parked(things).keys() == {"b"}


@pytest.mark.parametrize("refusal", ["a policy", "a deferred reference", "a state of its own", "no right to this"])
async def test_a_rejection_of_the_row_itself_parks_it_even_if_no_other_event_fits(things: Login, refusal: str) -> None:
    execute(things, TABLE + REFUSALS[refusal])
    async with desk(things, replica=copy_of("name")) as writing:
        await writing.write([named("b", "bad")])
        await writing.write([named("c", "bad"), named("d", "bad")])

    assert parked(things).keys() == {"b", "c", "d"}


FAULTS: dict[str, tuple[str, type[psycopg.Error]]] = {
    "a lost table": ("DROP TABLE invoices.things", psycopg.errors.UndefinedTable),
    "a lost column": ("ALTER TABLE invoices.things DROP name", psycopg.errors.UndefinedColumn),
    "a lost key": ("ALTER TABLE invoices.things DROP CONSTRAINT things_pkey", psycopg.errors.InvalidColumnReference),
    "a lost right": (
        "REVOKE ALL ON invoices.things FROM CURRENT_USER",
        psycopg.errors.InsufficientPrivilege,
    ),
    "a broken trigger": (trigger("PERFORM invoices.nope()", condition="true"), psycopg.errors.UndefinedFunction),
    "a publication without identity": (
        "ALTER TABLE invoices.things REPLICA IDENTITY NOTHING; CREATE PUBLICATION every FOR TABLE invoices.things",
        psycopg.errors.ObjectNotInPrerequisiteState,
    ),
}


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(("ddl", "error"), FAULTS.values(), ids=FAULTS.keys())
async def test_nothing_is_parked_if_the_table_is_at_fault_even_for_one_event_alone(
    things: Login, ddl: str, error: type[psycopg.Error], count: int
) -> None:
    execute(things, TABLE)
    async with desk(things, replica=copy_of("name")) as writing:
        execute(things, "INSERT INTO invoices.things SELECT n, 0, '' FROM generate_series(0, 2) n")
        execute(things, ddl)
        with pytest.raises(error):
            await writing.write([named(str(number), "good") for number in range(count)])

    assert parked(things) == {}


async def test_a_right_that_only_deletions_lack_is_the_tables_fault(things: Login) -> None:
    execute(things, TABLE)
    async with desk(things, replica=copy_of("name")) as writing:
        await writing.write([named("a", "good")])
        execute(things, "REVOKE DELETE ON invoices.things FROM CURRENT_USER")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await writing.write([named("b", "good"), named("c", "good"), Change(key="a", version=2, payload=None)])

    assert parked(things) == {}
    assert ids(things) == ["a"]


@pytest.mark.parametrize("kind", ["smallint", "integer", "bigint"])
async def test_keys_that_are_one_number_are_one_row(things: Login, kind: str) -> None:
    execute(things, f"CREATE TABLE invoices.things (id {kind} PRIMARY KEY, version bigint, name text)")
    async with desk(things, replica=copy_of("name")) as writing:
        await writing.write(
            [named("7", "one"), named("07", "two", version=2), named("+7", "x"), named("8", "y"), named(" 9", "z")]
        )
        await writing.write([Change(key="0008", version=2, payload=None)])
        await writing.write([named("8", "y", version=1)])

    assert rows(things) == [{"id": 7, "version": 2, "name": "two"}]
    assert parked(things) == {" 9": "the record's key is not a whole number, as the key column is"}


async def test_keys_that_a_collation_makes_one_hold_nothing_up(things: Login) -> None:
    execute(
        things,
        """CREATE COLLATION invoices.any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
           CREATE TABLE invoices.things (id text COLLATE invoices.any_case PRIMARY KEY, version bigint, name text)""",
    )
    async with desk(things, replica=copy_of("name")) as writing:
        await writing.write([named("k", "one"), named("K", "two", version=2), named("z", "good")])

    assert [(row["version"], row["name"]) for row in rows(things)] == [(2, "two"), (1, "good")]


async def test_a_value_with_a_syntax_of_its_own_is_the_events_fault(things: Login) -> None:
    execute(things, "CREATE TABLE invoices.things (id text PRIMARY KEY, version bigint, name tsquery)")
    async with desk(things, replica=copy_of("name")) as writing:
        await writing.write([named("b", "good &")])

    assert parked(things).keys() == {"b"}


UNIQUE = "CREATE TABLE invoices.things (id text PRIMARY KEY, version bigint, name text UNIQUE)"


async def test_a_unique_value_that_moves_to_another_key_fits_in_any_order_of_the_keys(things: Login) -> None:
    execute(things, UNIQUE)
    async with desk(things, replica=copy_of("name")) as writing:
        await writing.write([named("z", "first"), named("m", "second")])
        await writing.write(
            [named("z", "third", version=2), named("m", "first", version=2), named("a", "second"), named("zz", "third")]
        )

    assert {row["id"]: row["name"] for row in rows(things)} == {"z": "third", "m": "first", "a": "second"}
    assert parked(things).keys() == {"zz"}


@pytest.mark.parametrize("on_delete", ["Delete", "SoftDelete"])
async def test_a_deletion_frees_its_unique_value_and_a_late_state_does_not_outlive_it(
    things: Login, on_delete: str
) -> None:
    execute(things, UNIQUE + "; ALTER TABLE invoices.things ADD deleted timestamptz")
    replica = copy_of("name", on_delete=on_delete, deletedAtColumn="deleted")
    replica["spec"]["target"]["columns"][0] |= {"personal": True}
    async with desk(things, replica=replica) as writing:
        await writing.write([named("z", "first")])
        await writing.write(
            [
                Change(key="z", version=2, payload=None),
                named("a", "first"),
                named("b", "first"),
                Change(key="b", version=2, payload=None),
            ]
        )

    assert parked(things) == {}
    living = [row["id"] for row in rows(things) if row["deleted"] is None]
    assert living == ["a"]


async def test_rows_that_refer_to_each_other_fit_although_their_reference_is_deferred(things: Login) -> None:
    execute(things, TABLE + "ALTER TABLE invoices.things ADD FOREIGN KEY (name) REFERENCES invoices.things DEFERRABLE")
    async with desk(things, replica=copy_of("name")) as writing:
        await writing.write([named("z", "z"), named("a", "z"), named("b", "nobody")])

    assert ids(things) == ["a", "z"]
    assert parked(things).keys() == {"b"}


async def test_a_deletion_that_collided_first_is_not_undone_by_an_older_state_that_did_too(things: Login) -> None:
    execute(
        things,
        TABLE
        + """ALTER TABLE invoices.things ADD UNIQUE (name);
             ALTER TABLE invoices.things ADD below text;
             ALTER TABLE invoices.things ADD FOREIGN KEY (below) REFERENCES invoices.things""",
    )
    async with desk(things, replica=copy_of("name", "below")) as writing:
        below = Change(key="z", version=1, payload={"name": "first", "below": "a"})
        await writing.write([named("a", "own"), below])
        await writing.write(
            [
                Change(key="z", version=2, payload={"name": "second", "below": None}),
                Change(key="a", version=3, payload=None),
                named("a", "first", version=2),
            ]
        )

    assert ids(things) == ["z"]
    assert parked(things) == {}
