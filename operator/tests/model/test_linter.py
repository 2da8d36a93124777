"""The linter reports every mistake in a definition, each with its place and its remedy."""

from typing import Any

import pytest

from kompensa.model.linter import lint
from kompensa.model.parsing import parse_definition, parse_participant

KEYED = parse_participant({"url": "http://a", "idempotency": "Keyed"})
PLAIN = parse_participant({"url": "http://b"})
PARTICIPANTS = {"keyed": KEYED, "plain": PLAIN}
INPUT = {"type": "object", "properties": {"total": {"type": "string"}, "items": {"type": "array"}}}


def step(name: str, **changes: Any) -> dict[str, Any]:
    """A sound Compensatable step; a change to None leaves the member out."""
    sound = {
        "name": name,
        "participantRef": {"name": "keyed"},
        "action": call("/do"),
        "compensation": call("/undo"),
    }
    return {key: value for key, value in (sound | changes).items() if value is not None}


def retriable(name: str, **changes: Any) -> dict[str, Any]:
    return step(name, kind="Retriable", compensation=None, **changes)


def call(path: str, body: object = None) -> dict[str, Any]:
    http = {"method": "POST", "path": path} | ({} if body is None else {"body": body})
    return {"http": http}


def findings(*steps: dict[str, Any], **spec: Any) -> list[str]:
    return lint(parse_definition({"inputSchema": INPUT, "steps": list(steps), **spec}), PARTICIPANTS)


def test_a_sound_definition_has_no_findings() -> None:
    assert (
        findings(
            step("a", outputs={"id": "${reply.id}"}, action=call("/a", {"total": "${input.total}"})),
            step("b", action=call("/b/${steps.a.id}", {"key": "${operation.key}", "saga": "${saga.id}"})),
            retriable("c", action=call("/c", "${steps.a.id}")),
            result={"id": "${steps.a.id}"},
        )
        == []
    )


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            [step("a", participantRef={"name": "unknown"})],
            "step a: Participant unknown does not exist in this namespace (known: keyed, plain); create it or correct "
            "participantRef",
        ),
        ([step("a"), step("b"), step("a")], "step a: the name is used twice; give each step its own"),
        (
            [step("a"), step("b", dependsOn=["x"])],
            "step b: dependsOn names x, which is not a step of this definition (known: a)",
        ),
        (
            [step("a", dependsOn=["b"]), step("b", dependsOn=["a"])],
            "steps wait for each other: a -> b -> a; remove one dependsOn",
        ),
        ([step("a", dependsOn=["a"])], "steps wait for each other: a -> a; remove one dependsOn"),
        (
            [step("a", compensation=None)],
            "step a: a Compensatable step needs a compensation; add one, or make the step Retriable",
        ),
        (
            [step("a", kind="Retriable")],
            "step a: a Retriable step is never compensated; remove its compensation",
        ),
        (
            [retriable("a"), step("b")],
            "step a: a Retriable step must come after every Compensatable one, but does not wait for b; move it to "
            "the end or add dependsOn",
        ),
        (
            [step("a"), step("b", dependsOn=[]), retriable("c")],
            "step c: a Retriable step must come after every Compensatable one, but does not wait for a; move it to "
            "the end or add dependsOn",
        ),
        (
            [step("a", timeouts={"attempt": "10s", "total": "5s"})],
            "step a: timeouts.total (5s) is shorter than one attempt (10s); raise it",
        ),
        (
            [step("a", timeouts={"total": "1s"})],
            "step a: timeouts.total (1s) is shorter than one attempt (5s); raise it",
        ),
        (
            [step("a", retryPolicy={"initialInterval": "1m"})],
            "step a: retryPolicy: initialInterval (1m) is longer than maximumInterval (30s); raise the latter or lower "
            "the former",
        ),
        (
            [step("a", action=call("/a", "${input.totl}"))],
            "step a: action.http.body: ${input.totl} is not declared by inputSchema; declare it or correct the name",
        ),
        (
            [step("a", action=call("/a", "${reply.id}"))],
            "step a: action.http.body: ${reply.id} is not available here; available: input, operation, saga, steps",
        ),
        (
            [step("a", outputs={"x": "${operation.key}"})],
            "step a: outputs: ${operation.key} is not available here; available: input, reply, saga",
        ),
        (
            [step("a", action=call("/a", "${saga.uid}"))],
            "step a: action.http.body: ${saga.uid} does not exist; saga has definition, id, name, namespace",
        ),
        (
            [step("a", action=call("/a", "${operation.attempt}"))],
            "step a: action.http.body: ${operation.attempt} does not exist; operation has direction, key, step",
        ),
        (
            [step("a", action=call("/a", "${steps.b.id}")), step("b", outputs={"id": "${reply.id}"})],
            "step a: action.http.body: ${steps.b.id} may not have run yet; add b to dependsOn",
        ),
        (
            [step("a", action=call("/a", "${steps.z.id}"))],
            "step a: action.http.body: ${steps.z.id} is not a step of this definition; its steps are a",
        ),
        (
            [step("a", outputs={"id": "${reply.id}"}), step("b", action=call("/b", "${steps.a.idd}"))],
            "step b: action.http.body: ${steps.a.idd} is not an output of step a (declared: id); add it to that step's "
            "outputs",
        ),
        (
            [step("a", outputs={"id": "${reply.id}"}, compensation=call("/undo/${steps.a.id}"))],
            "step a: compensation.http.path: ${steps.a.id} is not available here; available: input, operation, saga",
        ),
        (
            [step("a", probe=call("/ops/${steps.b.id}")), step("b", outputs={"id": "${reply.id}"})],
            "step a: probe.http.path: ${steps.b.id} may not have run yet; add b to dependsOn",
        ),
    ],
)
def test_a_finding_says_where_what_and_what_to_do(steps: list[dict[str, Any]], said: str) -> None:
    assert findings(*steps) == [said]


def test_an_expression_that_does_not_compile_is_shown_with_its_place() -> None:
    (finding,) = findings(step("a", action=call("/a", {"deep": ["${inptu.total}"]})))
    assert finding.startswith("step a: action.http.body: ${inptu.total} does not compile:")


def test_a_participant_without_keys_may_be_told_its_own_output_to_undo() -> None:
    plain = {"name": "plain"}
    sound = step("a", participantRef=plain, outputs={"id": "${reply.id}"}, compensation=call("/undo/${steps.a.id}"))
    assert findings(sound) == []


def test_a_schema_that_is_none_is_a_finding() -> None:
    (finding,) = findings(step("a"), inputSchema={"type": "bogus"})
    assert finding.startswith("inputSchema is not a valid JSON Schema (draft 2020-12):")


def test_the_result_may_name_every_step_and_no_reply() -> None:
    (finding,) = findings(step("a", outputs={"id": "${reply.id}"}), result={"x": "${reply.id}", "y": "${steps.a.id}"})
    assert finding == "result: ${reply.id} is not available here; available: input, saga, steps"


def test_log_fields_are_checked_as_the_result_is() -> None:
    (finding,) = findings(step("a", outputs={"id": "${reply.id}"}), logFields={"x": "${input.nope}", "y": "${saga.id}"})
    assert finding.startswith("logFields: ${input.nope} ")


def test_all_findings_are_told_at_once() -> None:
    found = findings(
        step("a", participantRef={"name": "unknown"}, action=call("/a", "${input.totl}")),
        step("b", compensation=None, action=call("/b", "${steps.z.id}")),
        result={"x": "${input.nope}"},
    )
    assert len(found) == 5


def test_findings_about_the_order_do_not_hide_those_about_single_steps() -> None:
    found = findings(step("a", dependsOn=["x"], compensation=None), step("b", participantRef={"name": "unknown"}))
    assert len(found) == 3


def test_a_step_may_be_listed_before_the_one_it_depends_on() -> None:
    assert (
        findings(
            step("late", dependsOn=["early"], action=call("/a", "${steps.early.id}")),
            step("early", dependsOn=[], outputs={"id": "${reply.id}"}),
        )
        == []
    )


@pytest.mark.parametrize("name", ["X-Tenant\t", "X Tenant", "X-Tenant:", "", "X-Größe", "X-A\r\nX-B"])
@pytest.mark.parametrize("place", ["action", "compensation", "probe"])
def test_a_header_has_the_name_of_a_header(place: str, name: str) -> None:
    headed = {"http": {"path": "/a", "headers": {name: "1", "X-Tenant": "2"}}}
    assert findings(step("a", **{place: headed})) == [
        f"step a: {place}.http.headers: {name!r} is not a valid header name; "
        "write letters, digits and dashes, for example X-Tenant"
    ]
