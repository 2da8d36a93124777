"""How the integration tests are divided between processes."""

import pytest

from tests.integration.scheduling import SHARED, require_listed, share_of

SERVERS = list(SHARED)


def test_a_file_is_one_share() -> None:
    first, second = (f"tests/integration/test_kit_edge.py::{name}" for name in ("test_a[x::y]", "test_b"))
    other = "tests/integration/test_kit_races.py::test_a"
    assert share_of(first) == share_of(second) != share_of(other)


@pytest.mark.parametrize("server", SERVERS)
def test_all_files_that_use_a_server_are_one_share(server: str) -> None:
    assert {share_of(f"tests/integration/{file}::test_a") for file in SHARED[server]} == {server}


@pytest.mark.parametrize("server", SERVERS)
def test_a_file_that_uses_a_server_and_is_not_listed_is_named(server: str) -> None:
    require_listed(server, SHARED[server])
    with pytest.raises(pytest.UsageError, match=r"test_new\.py"):
        require_listed(server, {*SHARED[server], "test_new.py"})


def test_no_file_shares_two_servers() -> None:
    listed = [file for files in SHARED.values() for file in files]
    assert len(listed) == len(set(listed))
