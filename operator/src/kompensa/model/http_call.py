"""Calls over HTTP, in three forms: as declared (`HttpSpec`), compiled (`HttpCall`), ready to be sent (`HttpMessage`).

These are members of the unions in `calls`. The rules of a saga, its journal and the engine know only the unions. So a
module like this one and a transport add another way of calling a participant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from kompensa.model.encoding import encoded_json
from kompensa.model.expressions import ExpressionError, Scope, Template, spelled

PATH = r"^/"
Path = Annotated[str, Meta(pattern=PATH, max_length=1024)]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2


class HttpSpec(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A request as declared. Path, headers and body may contain `${...}`."""

    method: Method = "POST"
    path: Path
    headers: Annotated[dict[str, str], Meta(max_length=32)] = {}
    body: Any | UnsetType = UNSET

    def templates(self) -> Iterator[tuple[str, Any]]:
        """Each field that may contain `${...}`: its name and its declared value."""
        yield "path", self.path
        yield "headers", self.headers
        if self.body is not UNSET:
            yield "body", self.body

    def findings(self) -> Iterator[str]:
        """The mistakes that make the request invalid HTTP."""
        for name in self.headers:
            if not _TOKEN.fullmatch(name):
                yield (
                    f"headers: {name!r} is not a valid header name; "
                    "write letters, digits and dashes, for example X-Tenant"
                )

    def compiled(self) -> HttpCall:
        """The request with its templates compiled.

        Raises
        ------
        ExpressionError
            A template is not valid.
        """
        return HttpCall(
            method=self.method,
            path=Template(self.path),
            headers={name: Template(source) for name, source in self.headers.items()},
            body=None if self.body is UNSET else Template(self.body),
        )


class HttpCall(Struct, frozen=True, kw_only=True):
    """A compiled request."""

    method: str
    path: Template
    headers: Mapping[str, Template]
    body: Template | None = None

    def rendered(self, scope: Scope) -> HttpMessage:
        """The request with the values of one saga.

        Raises
        ------
        ExpressionError
            A template has no value for this saga.
        """
        return HttpMessage(
            method=self.method,
            path=self.path.render_path(scope),
            headers=self._rendered_headers(scope) if self.headers else {},
            body=b"" if self.body is None else encoded_json(self.body.render(scope)),
        )

    def _rendered_headers(self, scope: Scope) -> dict[str, str]:
        """The headers. One with an empty value is left out, so that an expression can decide whether to send it."""
        values = {name: _one_line(spelled(template.render(scope))) for name, template in self.headers.items()}
        return {name: value for name, value in values.items() if value}


class HttpMessage(Struct, frozen=True, kw_only=True):
    """A request ready to be sent. `body` is encoded JSON, or empty."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpEndpoint(Struct, frozen=True):
    """The address of a participant that is called over HTTP. The paths of its calls are appended to `url`."""

    url: str

    def __str__(self) -> str:
        return self.url


def _one_line(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ExpressionError("a header must be one line of printable characters")
    return text
