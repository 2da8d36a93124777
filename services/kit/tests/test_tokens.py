"""The files of the callers' tokens: read again when they change, and each judged on its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kompensa_participant.callers.tokens import TokenFiles
from kompensa_participant.settings import SettingsError

ENGINE, SHOP = "e" * 40, "s" * 40
CALLERS = frozenset({"engine", "shop"})


def files_of(folder: Path, **tokens: str | bytes) -> TokenFiles:
    for name, token in tokens.items():
        (folder / name.replace("_", ".")).write_bytes(token if isinstance(token, bytes) else token.encode())
    return TokenFiles(folder, CALLERS, reread_seconds=0)


def test_each_token_belongs_to_the_caller_of_its_file(tmp_path: Path) -> None:
    known = files_of(tmp_path, engine=ENGINE, shop=SHOP + "\r\n").known()
    assert known.caller_of(ENGINE.encode()) == "engine"
    assert known.caller_of(SHOP.encode()) == "shop"
    assert known.caller_of(b"x" * 40) is None


def test_a_caller_has_two_tokens_while_one_is_replaced(tmp_path: Path) -> None:
    files = files_of(tmp_path, engine=ENGINE, engine_second="n" * 40)
    assert {files.known().caller_of(token) for token in (ENGINE.encode(), b"n" * 40)} == {"engine"}
    (tmp_path / "engine").write_text("n" * 40)
    (tmp_path / "engine.second").unlink()
    assert files.known().caller_of(ENGINE.encode()) is None
    assert files.known().caller_of(b"n" * 40) == "engine"


def test_a_changed_file_takes_effect_without_a_restart_but_not_at_every_request(tmp_path: Path) -> None:
    files_of(tmp_path, engine=ENGINE)
    seldom = TokenFiles(tmp_path, CALLERS, reread_seconds=3600)
    often = TokenFiles(tmp_path, CALLERS, reread_seconds=0)
    (tmp_path / "engine").write_text(SHOP)
    assert seldom.known().caller_of(ENGINE.encode()) == "engine"
    assert often.known().caller_of(SHOP.encode()) == "engine"


def test_an_update_of_a_mounted_secret_is_seen(tmp_path: Path) -> None:
    """The kubelet swaps the link `..data`; the files are links through it."""
    for version, token in (("..1", ENGINE), ("..2", SHOP)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "engine").write_text(token)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "engine").symlink_to("..data/engine")
    files = TokenFiles(tmp_path, CALLERS, reread_seconds=0)
    assert files.known().caller_of(ENGINE.encode()) == "engine"
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    assert files.known().caller_of(ENGINE.encode()) is None
    assert files.known().caller_of(SHOP.encode()) == "engine"


@pytest.mark.parametrize(
    "unusable",
    [b"", b" \n", b"short", b"x" * 600, "café-café-café-café".encode(), b"two words two words", b"a" * 20 + b"\nb"],
)
def test_an_unusable_file_gives_no_access_and_is_reported_by_name_only(tmp_path: Path, unusable: bytes) -> None:
    with capture_logs() as logs:
        known = files_of(tmp_path, engine=unusable, shop=SHOP).known()
    assert known.caller_of(SHOP.encode()) == "shop"
    assert known.caller_of(unusable) is None
    (fault,) = [line for line in logs if line["log_level"] == "warning"]
    assert fault["file"] == "engine"
    if text := unusable.strip():
        assert text.decode() not in str(logs)


def test_the_same_token_for_two_callers_is_neither_s(tmp_path: Path) -> None:
    with capture_logs() as logs:
        known = files_of(tmp_path, engine=SHOP, shop=SHOP).known()
    assert known.caller_of(SHOP.encode()) is None
    assert [line["callers"] for line in logs if line["log_level"] == "warning"] == [["engine", "shop"]]


def test_a_file_of_no_caller_is_reported(tmp_path: Path) -> None:
    with capture_logs() as logs:
        known = files_of(tmp_path, engine=ENGINE, typo=SHOP).known()
    assert known.caller_of(SHOP.encode()) is None
    assert [line["file"] for line in logs if line["log_level"] == "warning"] == ["typo"]
    assert [line["without_token"] for line in logs if line["log_level"] == "info"] == [["shop"]]


def test_a_folder_that_is_missing_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CALLER_TOKENS_DIR"):
        TokenFiles(tmp_path / "none", CALLERS)


def test_a_folder_that_cannot_be_read_later_keeps_the_tokens_and_is_reported_once(tmp_path: Path) -> None:
    folder = tmp_path / "tokens"
    folder.mkdir()
    files = files_of(folder, engine=ENGINE)
    folder.rename(tmp_path / "away")
    with capture_logs() as logs:
        assert [files.known().caller_of(ENGINE.encode()) for _ in range(2)] == ["engine", "engine"]
    assert [line["log_level"] for line in logs] == ["warning"]
