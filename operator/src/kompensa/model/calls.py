"""The ways of calling a participant, each a member of every union here.

To add one: its members in these unions, its field in `CallSpec` (and in the CRDs), and a transport that sends its
messages. `Transport` implementations match on the union, so mypy shows where a member is not handled yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from msgspec import Struct

from kompensa.model.http_call import HttpCall, HttpEndpoint, HttpMessage, HttpSpec

Call: TypeAlias = HttpCall
"""A compiled action, compensation or probe. It renders itself to a message."""
Message: TypeAlias = HttpMessage
"""What one saga sends by a call."""
Endpoint: TypeAlias = HttpEndpoint
"""Where a participant is called."""


class CallSpec(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An action, compensation or probe as it is declared: the name of its only field says how the call is made."""

    http: HttpSpec

    def compiled(self) -> Call:
        """Raises ExpressionError if a template is wrong."""
        return self.http.compiled()

    def templates(self) -> Iterator[tuple[str, Any]]:
        """Each field that may have `${...}`, by its path, with what is written there."""
        return ((f"http.{field}", source) for field, source in self.http.templates())

    def findings(self) -> Iterator[str]:
        """What the linter reports, each with the path of its field."""
        return (f"http.{finding}" for finding in self.http.findings())
