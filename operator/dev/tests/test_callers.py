"""The local stack's tokens: those that the access tables need, kept between runs in one folder."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from kompensa.manifests.documents import load, of_kind
from kompensa_dev.callers import CALLERS, CallerTokens
from kompensa_dev.checkout import checkout
from kompensa_dev.shop import SERVICES
from kompensa_participant import Service
from kompensa_participant.callers.access import EVERY_SERVICE, EVERYONE
from kompensa_participant.callers.tokens import TokenFiles


@pytest.mark.parametrize("name", SERVICES)
def test_each_caller_of_the_access_table_has_a_token_that_the_service_accepts(name: str, tmp_path: Path) -> None:
    service: Service = import_module(f"{name}.app").service
    table = frozenset(caller for row in (*service.access, *EVERY_SERVICE) for caller in row.callers) - {EVERYONE}
    assert table == set(CALLERS)
    tokens = CallerTokens.create(tmp_path)
    known = TokenFiles(tmp_path / name, table).known()
    for caller, token in tokens.by_service[name].items():
        assert known.caller_of(token.encode()) == caller


def test_no_two_tokens_are_equal_and_nobody_else_may_read_them(tmp_path: Path) -> None:
    tokens = CallerTokens.create(tmp_path)
    made = [token for caller in CALLERS for token in tokens.of_caller(caller).values()]
    assert len(set(made)) == len(CALLERS) * len(SERVICES)
    assert {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")} == {0}


def test_a_second_run_in_the_same_folder_keeps_the_tokens(tmp_path: Path) -> None:
    assert CallerTokens.create(tmp_path) == CallerTokens.create(tmp_path)


def test_the_engine_gets_the_token_that_a_participant_names(tmp_path: Path) -> None:
    tokens = CallerTokens.create(tmp_path)
    participants = of_kind(load([checkout() / "manifests/shop"]), "Participant")
    assert participants
    for participant in participants:
        assert tokens.for_participant(participant) == tokens.by_service[participant.name]["engine"]
        del participant.spec["tokenSecretRef"]
        assert tokens.for_participant(participant) is None
