"""Routes for participants and definitions. The operator declares them, or a user if there is no operator."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from kompensa.api.documents import (
    UUID,
    DeclaredObjects,
    DefinitionItem,
    DefinitionList,
    ParticipantItem,
    ParticipantList,
    PutDefinition,
    PutParticipant,
    Revision,
    answer,
    body_of,
    decoded,
    replies,
)
from kompensa.api.problems import OF_BODIES, OF_EVERY_ROUTE, documented, problem_response
from kompensa.engine.engine import Engine

_PARTICIPANT = {"spec": {"url": "http://inventory.shop.svc:8080", "idempotency": "Keyed", "timeout": "2s"}}
_DEFINITION = {
    "spec": {
        "steps": [
            {
                "name": "reserve-inventory",
                "participantRef": {"name": "inventory"},
                "action": {"http": {"path": "/reservations", "body": {"items": "${input.items}"}}},
                "compensation": {"http": {"path": "/reservations/release", "body": {"sagaId": "${saga.id}"}}},
            }
        ]
    }
}
OF_WRITES = ("parameter-invalid", "not-storable", "not-ready", "journal-unavailable")
Name = Annotated[str, Path(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
DeclaredBy = Annotated[
    str | None,
    Query(
        alias="objectUid",
        pattern=UUID,
        description="Delete only if the object with this uid declared it. Otherwise the answer is 404",
    ),
]


def routes(engine: Engine) -> APIRouter:
    """The routes for this engine."""
    router = APIRouter(prefix="/v1", tags=["declarations"], responses=documented(*OF_EVERY_ROUTE))
    declarations = engine.declarations

    @router.get(
        "/declared-objects",
        summary="List the Kubernetes objects that declared participants and definitions, in all namespaces",
        responses={200: replies(DeclaredObjects, "Without declarations by users and files")},
    )
    async def declared_objects() -> Response:
        return answer(DeclaredObjects(declarations.objects()))

    @router.get(
        "/namespaces/{namespace}/participants",
        responses={200: replies(ParticipantList, "Without tokens"), **documented("parameter-invalid")},
    )
    async def participants(namespace: Name) -> Response:
        found = declarations.participants(namespace)
        return answer(ParticipantList([ParticipantItem(name=name, spec=spec) for name, spec in found.items()]))

    @router.put(
        "/namespaces/{namespace}/participants/{name}",
        status_code=204,
        openapi_extra=body_of(PutParticipant, _PARTICIPANT),
        responses=documented(*OF_WRITES, *OF_BODIES, "participant-invalid"),
    )
    async def put_participant(namespace: Name, name: Name, request: Request) -> Response:
        engine.ready()
        wanted = decoded(await request.body(), PutParticipant)
        await declarations.put_participant(namespace, name, wanted.spec, wanted.token, object_uid=wanted.object_uid)
        return Response(status_code=204)

    @router.delete(
        "/namespaces/{namespace}/participants/{name}",
        status_code=204,
        responses=documented(*OF_WRITES, "unknown-participant"),
    )
    async def delete_participant(namespace: Name, name: Name, declared_by: DeclaredBy = None) -> Response:
        if await declarations.delete_participant(namespace, name, object_uid=declared_by):
            return Response(status_code=204)
        return problem_response("unknown-participant", f"there is no Participant {namespace}/{name}")

    @router.get(
        "/namespaces/{namespace}/definitions",
        responses={200: replies(DefinitionList, "Current revisions"), **documented("parameter-invalid")},
    )
    async def definitions(namespace: Name) -> Response:
        found = declarations.definitions(namespace)
        items = [DefinitionItem(name=name, revision=rev, spec=spec) for name, (rev, spec) in found.items()]
        return answer(DefinitionList(items))

    @router.get(
        "/namespaces/{namespace}/definitions/{name}",
        responses={
            200: replies(DefinitionItem, "The current revision"),
            **documented("parameter-invalid", "unknown-definition"),
        },
    )
    async def definition(namespace: Name, name: Name) -> Response:
        found = declarations.definitions(namespace).get(name)
        if found is None:
            return problem_response("unknown-definition", f"there is no SagaDefinition {namespace}/{name}")
        return answer(DefinitionItem(name=name, revision=found[0], spec=found[1]))

    @router.put(
        "/namespaces/{namespace}/definitions/{name}",
        openapi_extra=body_of(PutDefinition, _DEFINITION),
        responses={
            200: replies(Revision, "Declared"),
            **documented(*OF_WRITES, *OF_BODIES, "definition-invalid"),
        },
    )
    async def put_definition(namespace: Name, name: Name, request: Request) -> Response:
        engine.ready()
        wanted = decoded(await request.body(), PutDefinition)
        revision = await declarations.put_definition(namespace, name, wanted.spec, object_uid=wanted.object_uid)
        return answer(Revision(revision))

    @router.delete(
        "/namespaces/{namespace}/definitions/{name}",
        status_code=204,
        responses=documented(*OF_WRITES, "unknown-definition"),
    )
    async def delete_definition(namespace: Name, name: Name, declared_by: DeclaredBy = None) -> Response:
        if await declarations.delete_definition(namespace, name, object_uid=declared_by):
            return Response(status_code=204)
        return problem_response("unknown-definition", f"there is no SagaDefinition {namespace}/{name}")

    return router
