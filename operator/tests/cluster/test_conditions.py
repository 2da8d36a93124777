from kompensa.cluster.conditions import Condition, merged, ready, stalled, working

NOON = 1_772_366_400.0
LATER = NOON + 60


def said(status: str, reason: str = "Because", message: str = "") -> Condition:
    return Condition(type="Ready", status=status, reason=reason, message=message)  # type: ignore[arg-type]


def test_a_transition_time_moves_only_with_the_status() -> None:
    first = merged(None, [said("False", "Starting")], at=NOON, generation=1)
    reworded = merged(first, [said("False", "StillStarting", "nearly there")], at=LATER, generation=1)
    turned = merged(reworded, [said("True", "Done")], at=LATER, generation=1)
    assert first[0]["lastTransitionTime"] == reworded[0]["lastTransitionTime"] == "2026-03-01T12:00:00Z"
    assert reworded[0]["reason"] == "StillStarting"
    assert turned[0]["lastTransitionTime"] == "2026-03-01T12:01:00Z"


def test_the_same_statement_twice_gives_the_same_conditions() -> None:
    first = merged(None, working("Waiting", "for a Secret"), at=NOON, generation=3)
    assert merged(first, working("Waiting", "for a Secret"), at=LATER, generation=3) == first


def test_a_condition_that_is_not_mentioned_is_kept() -> None:
    old = merged(None, [Condition(type="Compensated", status="True", reason="Undone")], at=NOON, generation=1)
    kept = merged(old, ready("Fine"), at=LATER, generation=2)
    assert [condition["type"] for condition in kept] == ["Compensated", "Ready", "Reconciling", "Stalled"]
    assert kept[0] == old[0]


def test_every_condition_has_what_kubernetes_requires() -> None:
    for statement in (ready("Fine"), working("Busy", "trying"), stalled("Stuck", "change it")):
        for condition in merged(None, statement, at=NOON, generation=7):
            assert condition.keys() >= {"type", "status", "reason", "message", "lastTransitionTime"}
            assert condition["observedGeneration"] == 7
            assert condition["reason"]


def test_a_message_longer_than_the_api_server_takes_is_cut() -> None:
    (condition,) = merged(None, [said("False", message="x" * 100_000)], at=NOON, generation=1)
    assert len(condition["message"]) == 32768
