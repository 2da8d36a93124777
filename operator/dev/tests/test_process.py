"""Programs, and their files and processes after their end."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

from kompensa_dev.errors import DevError, ProgramFailedError
from kompensa_dev.leftovers import end_recorded, start_time, write_record
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN_SCRIPT = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(1, flush=True)
time.sleep(600)
"""
STUBBORN = [sys.executable, "-c", STUBBORN_SCRIPT]
TELLING_SCRIPT = """
import signal, sys
def end(*_):
    open(sys.argv[1], "a").write(sys.argv[2])
    sys.exit()
signal.signal(signal.SIGTERM, end)
print(flush=True)
signal.pause()
"""


def says_it_is_up(log: Path) -> bool:
    return log.read_text() == "\n"


def test_a_program_that_ends_too_early_shows_the_end_of_its_log(tmp_path: Path) -> None:
    program = Program(name="broken", argv=[sys.executable, "-c", "raise SystemExit('no database')"])
    process = Process(program, tmp_path / "log")
    with pytest.raises(ProgramFailedError, match="broken ended with status 1 before serving") as failed:
        process.wait_ready(lambda: False, what="serving", timeout=30)
    assert failed.value.tail == "no database"


def test_a_program_that_never_becomes_ready_is_named(tmp_path: Path) -> None:
    process = Process(Program(name="mute", argv=SLEEPER), tmp_path / "log")
    with pytest.raises(ProgramFailedError, match="mute: serving was expected"):
        process.wait_ready(lambda: False, what="serving", timeout=0.05)
    process.kill()


def test_a_program_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = Process(Program(name="stubborn", argv=STUBBORN), log)
    process.wait_ready(lambda: log.read_text() == "1\n", what="ignoring signals", timeout=30)
    process.stop(timeout=0.2)
    assert not process.is_alive


def test_a_finished_command_with_another_status_than_zero_is_a_failure() -> None:
    with Run.open() as run, pytest.raises(ProgramFailedError, match="migrate ended with status 3"):
        run.run_to_end(Program(name="migrate", argv=[sys.executable, "-c", "raise SystemExit(3)"]), timeout=30)


def test_a_closed_run_starts_nothing() -> None:
    run = Run.open()
    run.close()
    with pytest.raises(DevError, match="the run is over"):
        run.start(Program(name="late", argv=SLEEPER))
    assert not run.folder.exists()


def test_users_are_stopped_before_what_they_use(tmp_path: Path) -> None:
    log = tmp_path / "ends"
    with Run.open() as run:
        for name, tier in (("a", 0), ("c", 2), ("b", 1)):
            program = Program(name=name, argv=[sys.executable, "-c", TELLING_SCRIPT, str(log), name], tier=tier)
            process = run.start(program)
            process.wait_ready(partial(says_it_is_up, process.log), what="listening", timeout=30)
    assert log.read_text() == "cba"


def test_a_recorded_process_is_ended_but_not_another_with_its_number(tmp_path: Path) -> None:
    mine = Process(Program(name="mine", argv=SLEEPER), tmp_path / "mine.log")
    other = Process(Program(name="other", argv=SLEEPER), tmp_path / "other.log")
    write_record(tmp_path, name="mine", pid=mine.pid, stop_signal=signal.SIGTERM)
    # A record of long ago: the number has come round, the start time has not.
    (tmp_path / "pids" / "old").write_text(f"{other.pid} 15 1\n")
    assert end_recorded(tmp_path) == ["mine"]
    assert start_time(mine.pid) is None
    assert other.is_alive
    other.kill()


def test_our_own_start_time_is_known_and_steady() -> None:
    assert start_time(os.getpid()) is not None
    assert start_time(os.getpid()) == start_time(os.getpid())
