"""An engine and a participant that checks its callers, as processes: tokens are sent, replaced and taken away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kompensa_dev.postgres import PostgresServer
from kompensa_dev.run import Run
from tests.integration.engine_processes import EngineProcess, Engines
from tests.integration.ledger_participant import LedgerParticipant
from tests.support.engine_world import NAMESPACE
from tests.support.http import call
from tests.support.waiting import eventually

OLD, NEW = "old-token-of-the-engine", "new-token-of-the-engine"
STEPS = ("reserve", "pay")


@dataclass(frozen=True)
class Guarded:
    """A participant whose only caller is the engine, and the folder of its tokens."""

    participant: LedgerParticipant
    folder: Path

    def accepts(self, token: str) -> bool:
        operation = f"{self.participant.url}/operations/0b8a3c5e-0000-4000-8000-000000000001/pay/action"
        return call("GET", operation, headers={"Authorization": f"bearer {token}"}).status == 200

    def write(self, **tokens: str) -> None:
        """Exactly these tokens, each in the file of its name with `_` for the point."""
        for path in self.folder.iterdir():
            path.unlink()
        for name, token in tokens.items():
            (self.folder / name.replace("_", ".")).write_text(f"{token}\n")


@pytest.fixture(scope="module")
def guarded(run: Run, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("callers")
    (folder / "engine").write_text(OLD)
    participant = LedgerParticipant.started(run, postgres, name="guarded", CALLER_TOKENS_DIR=str(folder))
    yield Guarded(participant, folder)
    log = participant.process.log.read_text(encoding="utf-8")
    participant.process.stop()
    assert '"caller": "engine"' in log
    assert OLD not in log
    assert NEW not in log


def run_saga(engine: EngineProcess, guarded: Guarded, token: str | None) -> dict[str, Any]:
    """How a saga ends if the engine has this token for the participant."""
    engine.declare(*STEPS, participant=guarded.participant.url)
    spec = {"url": guarded.participant.url, "idempotency": "Keyed"}
    place = f"{engine.url}/v1/namespaces/{NAMESPACE}/participants/stub"
    call("PUT", place, {"spec": spec, **({"token": token} if token else {})}).ok()
    saga = engine.start_saga()
    engine.until_ended([saga])
    view: dict[str, Any] = engine.saga(saga).ok()
    return view


def test_a_token_is_replaced_without_a_restart_and_without_a_refused_call(engines: Engines, guarded: Guarded) -> None:
    engine = engines.start("one")
    guarded.write(engine=OLD)
    eventually(lambda: guarded.accepts(OLD), "the first token to be accepted")
    assert run_saga(engine, guarded, OLD)["phase"] == "Succeeded"
    guarded.write(engine=OLD, engine_second=NEW)
    eventually(lambda: guarded.accepts(NEW), "the second token to be accepted")
    assert run_saga(engine, guarded, OLD)["phase"] == "Succeeded"
    assert run_saga(engine, guarded, NEW)["phase"] == "Succeeded"
    guarded.write(engine=NEW)
    eventually(lambda: not guarded.accepts(OLD), "the first token to be rejected")
    assert run_saga(engine, guarded, NEW)["phase"] == "Succeeded"


@pytest.mark.parametrize(("token", "reason"), [(None, "TokenMissing"), ("token-of-another-service", "TokenUnknown")])
def test_a_call_that_is_not_admitted_parks_the_saga_and_has_no_effect(
    engines: Engines, guarded: Guarded, token: str | None, reason: str
) -> None:
    saga = run_saga(engines.start("one"), guarded, token)
    assert (saga["phase"], saga["reason"]) == ("InterventionRequired", reason)
    assert not token or token not in str(saga)
    assert guarded.participant.effects(saga["id"]).done == ()
