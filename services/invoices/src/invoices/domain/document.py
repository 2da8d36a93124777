"""Which documents an invoice can be made out to."""

from __future__ import annotations

CPF_DIGITS = 11
CNPJ_DIGITS = 14
_PUNCTUATION = str.maketrans("", "", ".-/")


def billable(document: str) -> bool:
    """A CPF (11 digits, a person) or a CNPJ (14 digits, a company), with or without punctuation; a passport is
    neither."""
    digits = document.translate(_PUNCTUATION)
    return digits.isascii() and digits.isdigit() and len(digits) in (CPF_DIGITS, CNPJ_DIGITS)
