"""The ledger participant as a process, and what its database says of a saga."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg

from kompensa_dev.http import answers_ok
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run
from tests.support.http import call

FOLDER = Path(__file__).with_name("participants")


@dataclass(frozen=True)
class Effects:
    """The effects of one saga, in their order."""

    done: tuple[str, ...]
    undone: tuple[str, ...]

    def violations(self, phase: str, steps: tuple[str, ...], *, in_order: bool = True) -> list[str]:
        """Violations of I3, I5 and I6, given the phase in which the saga ended."""
        found = []
        if len(set(self.done)) < len(self.done) or len(set(self.undone)) < len(self.undone):
            found.append(f"I5: an effect twice: {self}")
        if phase == "Succeeded" and (set(self.done) != set(steps) or self.undone):
            found.append(f"I3: succeeded, but {self}")
        if phase == "Compensated" and set(self.done) != set(self.undone):
            found.append(f"I3: compensated, but {self}")
        if phase == "Compensated" and in_order and self.undone != self.done[::-1]:
            found.append(f"I6: not undone in reverse order: {self}")
        return found


@dataclass
class LedgerParticipant:
    """A participant with the kit's promise, reached over HTTP."""

    process: Process
    login: Login
    url: str

    @classmethod
    def started(cls, run: Run, postgres: PostgresServer, *, name: str = "ledger", **settings: str) -> LedgerParticipant:
        """Start one with a database of this name, and with more settings of a service."""
        login = postgres.create_database(name)
        port = Ports().take(name)
        environment = {
            "DATABASE_URL": login.url,
            "PYTHONPATH": str(FOLDER),
            "HOST": HOST,
            "PORT": str(port),
            "FAULTS_ENABLED": "true",
            **settings,
        }
        for verb in ("migrate", "serve"):
            argv = [sys.executable, "-m", "ledger", verb]
            program = Program(name=f"{name}-{verb}", argv=argv, environment=environment)
            if verb == "migrate":
                run.run_to_end(program, timeout=60)
        process = run.start(program)
        url = f"http://{HOST}:{port}"
        process.wait_ready(lambda: answers_ok(f"{url}/readyz"), what="/readyz answering ok", timeout=30)
        return cls(process, login, url)

    def switch(self, step: str, *, down: bool) -> None:
        """Let a step's actions fail before they take effect, until they are switched back."""
        call("POST", f"{self.url}/switch/{step}", {"down": down}).ok()

    def effects(self, saga_id: str) -> Effects:
        with psycopg.connect(self.login.url) as connection:
            rows = connection.execute(
                "SELECT step, direction FROM ledger.effects WHERE saga_id = %s ORDER BY id", (saga_id,)
            ).fetchall()
        return Effects(
            done=tuple(step for step, direction in rows if direction == "action"),
            undone=tuple(step for step, direction in rows if direction == "compensation"),
        )

    def sagas(self) -> set[str]:
        """Every saga that ever had an effect."""
        with psycopg.connect(self.login.url) as connection:
            return {str(row[0]) for row in connection.execute("SELECT DISTINCT saga_id FROM ledger.effects")}
