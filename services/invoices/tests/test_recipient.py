"""How long an invoice keeps its recipient (S29)."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from invoices.domain.recipient import retained_until


@pytest.mark.parametrize("issued_at", [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, tzinfo=UTC)])
def test_the_five_years_begin_with_the_year_after_the_issue(issued_at: datetime) -> None:
    assert retained_until(issued_at) == date(2032, 1, 1)
