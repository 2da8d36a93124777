"""The recipient of an invoice: the customer as at issue, kept when the customer is deleted (S29, retention as history).

Legal ground in Brazil: an invoice must be kept until the tax authority can no longer assess it. That takes five years,
which begin with the year after its issue (CTN, articles 173 and 195). The data protection law lets a company keep
personal data that another law obliges it to keep (LGPD, articles 7 II and 16 I). So only the three fields that the
invoice must show are kept, and they may be erased from `retained_until` on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

RETENTION_YEARS = 5


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """The fields of a customer that an invoice must show."""

    full_name: str
    document: str
    billing_address: dict[str, Any]


def retained_until(issued_at: datetime) -> date:
    """The first day on which the recipient of an invoice may be erased."""
    return date(issued_at.year + RETENTION_YEARS + 1, 1, 1)
