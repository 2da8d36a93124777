"""The manifests that people apply by hand."""

from typer.testing import CliRunner

from charts.tests.rendering import CHARTS
from kompensa.cli.main import app
from kompensa.manifests.documents import load, of_kind
from kompensa.model.parsing import parse_definition

MANIFESTS = CHARTS.parent / "manifests"


def test_the_parallel_order_passes_the_linter() -> None:
    files = [str(MANIFESTS / "parallel"), str(MANIFESTS / "shop/participants.yaml")]
    checked = CliRunner().invoke(app, ["lint", *files])
    assert checked.exit_code == 0, checked.output


def test_three_steps_of_the_parallel_order_start_at_once() -> None:
    (document,) = of_kind(load([MANIFESTS / "parallel"]), "SagaDefinition")
    steps = {step.name: step.depends_on for step in parse_definition(document.spec).steps}
    at_once = [name for name, others in steps.items() if others is not None and not others]
    assert at_once == ["reserve-inventory", "process-payment", "create-order"]
    assert set(steps["issue-invoice"] or ()) == {"process-payment", "create-order"}
