"""How the integration tests are divided between processes."""

import pytest

from tests.integration.scheduling import STACK_FILES, require_listed, share_of


def test_a_file_is_one_share() -> None:
    first, second = (f"tests/integration/test_kit_edge.py::{name}" for name in ("test_a[x::y]", "test_b"))
    other = "tests/integration/test_kit_races.py::test_a"
    assert share_of(first) == share_of(second) != share_of(other)


def test_all_files_that_use_the_stack_are_one_share() -> None:
    assert {share_of(f"tests/integration/{file}::test_a") for file in STACK_FILES} == {"stack"}


def test_a_file_that_uses_the_stack_and_is_not_listed_is_named() -> None:
    require_listed(STACK_FILES)
    with pytest.raises(pytest.UsageError, match=r"test_new\.py"):
        require_listed({*STACK_FILES, "test_new.py"})
