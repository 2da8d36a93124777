"""The projections of a service: their route and command are only there with projections, and progress is one line."""

from __future__ import annotations

import pytest

from kompensa_eventstore import Feed
from kompensa_eventstore.projections import Progress, Projection, Table
from kompensa_participant import Allow, Service
from kompensa_participant.callers.access import AccessTableError
from kompensa_participant.projections import Projected
from kompensa_participant.projections.commands import bar
from kompensa_participant.settings import Settings

SETTINGS = Settings(database_url="postgresql://nowhere")
TOTALS = Projected(Projection("totals", Table(name="totals", key=("id",))), Feed("orders"))
STATUS = Allow("backoffice", routes=["GET /status"])


def test_the_state_of_projections_needs_a_row_in_the_access_table() -> None:
    with pytest.raises(AccessTableError, match="GET /status"):
        Service(name="orders", title="Things", projections=[TOTALS]).app(SETTINGS)
    app = Service(name="orders", title="Things", projections=[TOTALS], access=[STATUS]).app(SETTINGS)
    assert "/status" in app.openapi()["paths"]


def test_a_service_without_projections_has_neither_route_nor_command(capsys: pytest.CaptureFixture[str]) -> None:
    service = Service(name="orders", title="Things")
    assert "/status" not in service.app(SETTINGS).openapi()["paths"]
    with pytest.raises(SystemExit):
        service.main(["projections", "list"])
    assert "invalid choice: 'projections'" in capsys.readouterr().err


def test_progress_is_a_line_with_part_rate_and_rest() -> None:
    line = bar(Progress(done=1_000, total=2_000, per_second=500.4, seconds_left=2.0))
    assert " ".join(line.split()) == f"[{15 * '#'}{15 * '-'}] 50% 1,000 of 2,000 events 500/s 2 s left"
    assert "100%" in bar(Progress(done=0, total=0, per_second=0.0, seconds_left=0.0))
