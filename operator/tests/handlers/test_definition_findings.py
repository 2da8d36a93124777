from kompensa.cluster.engine_client import EngineProblemError
from kompensa.handlers.definitions import lint_message


def test_all_findings_are_told_a_line_each() -> None:
    members = {
        "errors": [
            {"path": "steps.pay", "message": "participant payments does not exist; there are: inventory"},
            {"path": "steps.ship", "message": "has no compensation"},
        ]
    }
    assert lint_message(EngineProblemError(422, "lint-failed", "2 findings", members)).splitlines() == [
        "steps.pay: participant payments does not exist; there are: inventory",
        "steps.ship: has no compensation",
    ]


def test_a_problem_without_findings_still_says_something() -> None:
    assert (
        lint_message(EngineProblemError(422, "spec-invalid", "steps: expected a list", {})) == "steps: expected a list"
    )
