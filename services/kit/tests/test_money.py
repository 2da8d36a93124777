"""Money: text in, text out, exact between (F5)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from kompensa_participant import Money

MONEY = TypeAdapter(Money)


@pytest.mark.parametrize(("text", "amount"), [("29.99", "29.99"), ("0", "0"), ("7.5", "7.50"), ("9999999999.99",) * 2])
def test_text_is_read_exactly_and_written_with_two_places(text: str, amount: str) -> None:
    assert MONEY.validate_json(f'"{text}"') == Decimal(amount)
    assert MONEY.dump_python(MONEY.validate_json(f'"{text}"')) == f"{Decimal(amount):.2f}"


@pytest.mark.parametrize("number", ["29.99", "30", "1e2", "true", "null"])
def test_a_number_is_refused_and_told_how_money_is_written(number: str) -> None:
    with pytest.raises(ValidationError, match="written as text"):
        MONEY.validate_json(number)


@pytest.mark.parametrize(
    "text", ["-1", "+1", "1.999", "1e2", " 1", "NaN", "Infinity", "1,00", "", "10000000000", "9" * 30, "١.٠٠"]
)
def test_text_that_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="written like"):
        MONEY.validate_json(f'"{text}"')


@given(st.lists(st.decimals(min_value=0, max_value=1_000_000, places=2), max_size=30))
def test_a_sum_survives_the_wire(amounts: list[Decimal]) -> None:
    returned = [MONEY.validate_python(MONEY.dump_python(amount)) for amount in amounts]
    assert sum(returned) == sum(amounts)


def test_a_text_of_a_million_characters_is_not_repeated_in_the_refusal() -> None:
    with pytest.raises(ValidationError) as refused:
        MONEY.validate_python("9" * 1_000_000)
    assert len(refused.value.errors()[0]["msg"]) < 250
