"""The bodies of requests and responses: decoded and encoded by msgspec, and described for OpenAPI.

Routes take the raw body, since pydantic would cost more than the engine itself. msgspec makes the schemas of the
OpenAPI document from the same types.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Response

from kompensa.api.problems import BadRequestError, Problem
from kompensa.engine.declarations import DeclaredObject
from kompensa.engine.start import Generation, StartRequest, Uuid
from kompensa.model.specs import DeletionPolicy
from kompensa.model.view import SagaView

T = TypeVar("T")
_encoder = msgspec.json.Encoder()
_MEDIA_TYPE = "application/json"
UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


class PutParticipant(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A Participant's spec, the value of its token, and the uid of the object that declares it, if one does."""

    spec: dict[str, Any]
    token: str | None = None
    object_uid: Uuid | None = None


class PutDefinition(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A SagaDefinition's spec, and the uid of the object that declares it, if one does."""

    spec: dict[str, Any]
    object_uid: Uuid | None = None


class Ask(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A request to cancel, suspend or resume a saga: the reason, and the generation of the object that asks, if any."""

    reason: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    generation: Generation | None = None


class ObjectDeleted(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How to settle a saga whose object is gone. The default is the policy that it was started with."""

    deletion_policy: DeletionPolicy | None = None


class ParticipantItem(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    spec: dict[str, Any]


class ParticipantList(msgspec.Struct, frozen=True):
    items: list[ParticipantItem]


class DefinitionItem(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    revision: str
    spec: dict[str, Any]


class DefinitionList(msgspec.Struct, frozen=True):
    items: list[DefinitionItem]


class Revision(msgspec.Struct, frozen=True):
    revision: str


class DeclaredObjects(msgspec.Struct, frozen=True):
    items: list[DeclaredObject]


class SagaList(msgspec.Struct, frozen=True):
    items: list[SagaView]


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a saga's history. `version` counts durable writes, `epoch` is that of the lease at the time."""

    at: str
    event: str
    version: int
    epoch: int
    step: str | None = None
    attempt: int | None = None
    reason: str | None = None
    message: str | None = None


class History(msgspec.Struct, frozen=True):
    items: list[HistoryEntry]


class SagaWithHistory(SagaView, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    history: list[HistoryEntry]


TYPES: tuple[type, ...] = (
    StartRequest,
    SagaView,
    SagaList,
    SagaWithHistory,
    History,
    PutParticipant,
    PutDefinition,
    Ask,
    ObjectDeleted,
    ParticipantList,
    DefinitionList,
    Revision,
    DeclaredObjects,
    Problem,
)


def decoded(body: bytes, kind: type[T]) -> T:
    """Decode a body.

    Raises
    ------
    BadRequestError
        The body is not JSON, or does not fit. The message names the field.
    """
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise BadRequestError("body-invalid", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError("not-json", f"the body is not JSON: {error}") from error


def answer(value: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(_encoder.encode(value), status, media_type=_MEDIA_TYPE)


def body_of(kind: type, example: dict[str, Any]) -> dict[str, Any]:
    """The `openapi_extra` of a route that takes a body."""
    content = {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}, "example": example}
    return {"requestBody": {"required": True, "content": {_MEDIA_TYPE: content}}}


def replies(kind: type, description: str) -> dict[str, Any]:
    """One entry of a route's `responses`."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"description": description, "content": {_MEDIA_TYPE: {"schema": schema}}}


def schemas() -> dict[str, Any]:
    """The components of the OpenAPI document."""
    _, components = msgspec.json.schema_components(TYPES, ref_template="#/components/schemas/{name}")
    return components
