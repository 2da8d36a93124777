from kompensa.client.engine_client import EngineProblemError
from kompensa.handlers.definitions import lint_message


def test_all_findings_are_told_a_line_each() -> None:
    members = {
        "findings": [
            "step pay: Participant payments does not exist in this namespace",
            "step ship: a Compensatable step needs a compensation",
        ]
    }
    problem = EngineProblemError(422, "definition-invalid", "2 findings", members)
    assert lint_message(problem).splitlines() == members["findings"]


def test_a_problem_without_findings_still_says_something() -> None:
    problem = EngineProblemError(422, "spec-invalid", "steps: expected a list", {})
    assert lint_message(problem) == "steps: expected a list"
