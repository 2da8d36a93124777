"""Calls over HTTP: as a definition declares them, compiled, and ready to be sent.

This is one member of the unions in `calls`. The rules of a saga, its journal and the engine know only the unions, so
another way of calling a participant is added by a module like this one and a transport for it.
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
    """A request, with `${...}` in path, headers and body."""

    method: Method = "POST"
    path: Path
    headers: Annotated[dict[str, str], Meta(max_length=32)] = {}
    body: Any | UnsetType = UNSET

    def templates(self) -> Iterator[tuple[str, Any]]:
        """Each field that may have `${...}`, with what is written there."""
        yield "path", self.path
        yield "headers", self.headers
        if self.body is not UNSET:
            yield "body", self.body

    def findings(self) -> Iterator[str]:
        """What no participant would understand."""
        for name in self.headers:
            if not _TOKEN.fullmatch(name):
                yield (
                    f"headers: {name!r} is not a valid header name; "
                    "write letters, digits and dashes, for example X-Tenant"
                )

    def compiled(self) -> HttpCall:
        """Ready to be rendered for each saga. Raises ExpressionError if a template is wrong."""
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
        """The request of one saga. Raises ExpressionError if a template has no value for it."""
        return HttpMessage(
            method=self.method,
            path=self.path.render_path(scope),
            headers=self._rendered_headers(scope) if self.headers else {},
            body=b"" if self.body is None else encoded_json(self.body.render(scope)),
        )

    def _rendered_headers(self, scope: Scope) -> dict[str, str]:
        """A header whose value comes out empty is not sent, so that an expression can leave it out."""
        values = {name: _one_line(spelled(template.render(scope))) for name, template in self.headers.items()}
        return {name: value for name, value in values.items() if value}


class HttpMessage(Struct, frozen=True, kw_only=True):
    """What is sent. `body` is encoded JSON, empty for none."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpEndpoint(Struct, frozen=True):
    """Where a participant is called over HTTP: the URL that the paths of its calls are appended to."""

    url: str

    def __str__(self) -> str:
        return self.url


def _one_line(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ExpressionError("a header must be one line of printable characters")
    return text
