"""Line ends of secret values: those at the end go, others are rejected."""

import pytest

from kompensa_common.secrets import UnusableValueError, meant


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n", "\r\n\n"])
def test_line_ends_at_the_end_are_not_part_of_a_value(end: str) -> None:
    assert meant(f" se cret\t{end}", "the password") == " se cret\t"


@pytest.mark.parametrize("value", ["s3cr3t\nx", "s3cr3t\rx", "s3cr3t\0x", "\ns3cr3t", "s3cr3t\r"])
def test_a_value_of_two_lines_is_rejected_and_not_quoted(value: str) -> None:
    with pytest.raises(UnusableValueError) as rejected:
        meant(value, "the password")
    assert "the password" in str(rejected.value)
    assert "s3cr3t" not in str(rejected.value)
