"""The ways of calling a participant: HTTP today. Each way has one member in each union here.

To add a way, add its members to these unions, its field to `CallSpec` and the CRDs, and a transport that sends its
messages. Implementations of `Transport` match on the union, so mypy shows each place that does not handle it yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from msgspec import Struct

from kompensa.model.http_call import HttpCall, HttpEndpoint, HttpMessage, HttpSpec

Call: TypeAlias = HttpCall
"""A compiled action, compensation or probe. It renders itself to a message."""
Message: TypeAlias = HttpMessage
"""A call with the values of one saga, ready to be sent."""
Endpoint: TypeAlias = HttpEndpoint
"""The address of a participant."""


class CallSpec(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An action, compensation or probe as declared. The name of its only field, `http`, says how the call is made."""

    http: HttpSpec

    def compiled(self) -> Call:
        """The call with its templates compiled.

        Raises
        ------
        ExpressionError
            A template is not valid.
        """
        return self.http.compiled()

    def templates(self) -> Iterator[tuple[str, Any]]:
        """Each field that may contain `${...}`: its path and its declared value."""
        return ((f"http.{field}", source) for field, source in self.http.templates())

    def findings(self) -> Iterator[str]:
        """The mistakes in this call, each with the path of its field."""
        return (f"http.{finding}" for finding in self.http.findings())
