"""A stage shows its time and a sign of life; one that fails shows its last lines and the path of the rest."""

from __future__ import annotations

import io
import re
import threading

import pytest

from images.setup import stages
from images.setup.errors import CommandFailed, SetupError
from images.setup.stages import Report, stage_line
from images.tests.tools import printed


def test_a_stage_is_one_line_with_its_duration_and_note(report: Report) -> None:
    with report.stage("images onto the node") as stage:
        stage.runner.run(["sh", "-c", "echo many; echo lines"])
        stage.note = "3 loaded, 5 there"
    assert re.fullmatch(r"images onto the node \.+ +\d+\.\d s  3 loaded, 5 there\n", printed(report))


def test_durations_stand_in_one_column() -> None:
    columns = {stage_line(name, 1.25).index("1.2 s") for name in ("a", "image kompensa", "x" * 40)}
    assert len(columns) == 1


def test_what_tools_print_goes_to_a_log_named_after_the_stage(report: Report) -> None:
    with report.stage("image kafka/broker") as stage:
        stage.runner.run(["sh", "-c", "echo out; echo err >&2"])
    assert (report.logs / "image-kafka-broker.log").read_text() == "$ sh -c echo out; echo err >&2\nout\nerr\n"


def test_a_failed_stage_shows_the_last_lines_and_where_the_rest_is(report: Report) -> None:
    with pytest.raises(CommandFailed), report.stage("build kind") as stage:
        stage.runner.run(["sh", "-c", "seq 100; echo no such module >&2; exit 7"])
    first, *rest = printed(report).splitlines()
    assert first.endswith("FAILED")
    assert rest[0].endswith("ended with status 7")
    assert rest[-2] == "  | no such module"
    assert rest[-1] == f"  the whole log: {report.logs / 'build-kind.log'}"
    assert "  | 99" in rest
    assert "  | 1" not in rest, "the last lines only"
    assert "1\n2\n" in (report.logs / "build-kind.log").read_text()


def test_a_missing_program_is_named(report: Report) -> None:
    absent = r"`no-such-tool --x` cannot start: there is no such program"
    with pytest.raises(CommandFailed, match=absent), report.stage("anything") as stage:
        stage.runner.run(["no-such-tool", "--x"])


def test_a_stage_that_is_given_up_says_so(report: Report) -> None:
    with pytest.raises(SetupError), report.stage("cluster"):
        raise SetupError("no")
    assert printed(report).rstrip().endswith("stopped")


def test_a_command_that_does_not_end_is_ended_with_its_children(report: Report) -> None:
    with pytest.raises(CommandFailed, match="did not end within 0 s"), report.stage("hanging") as stage:
        stage.runner.run(["sh", "-c", "sleep 300 & wait"], timeout=0.3)


class Terminal(io.StringIO):
    """Text written to what says it is a terminal; `ticked` is set by the first line that counts seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.ticked = threading.Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if "..." in text:
            self.ticked.set()
        return super().write(text)


def test_a_terminal_counts_in_place_and_a_file_gets_a_line_now_and_then(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "TICK_SECONDS", 0.01)
    terminal = Terminal()
    with Report(report.logs, out=terminal).stage("long"):
        assert terminal.ticked.wait(30)
    *counted, last = terminal.getvalue().split("\r\033[K")
    assert counted
    assert last.endswith("s\n")
    assert terminal.getvalue().count("\n") == 1, "one line stays"
    with report.stage("short"):
        pass
    assert "\r" not in printed(report)
