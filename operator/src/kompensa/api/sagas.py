"""Routes for sagas."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter
from msgspec.structs import asdict

from kompensa.api.documents import (
    UUID,
    Ask,
    History,
    HistoryEntry,
    ObjectDeleted,
    SagaList,
    SagaWithHistory,
    answer,
    body_of,
    decoded,
    replies,
)
from kompensa.api.problems import OF_BODIES, OF_EVERY_ROUTE, BadRequestError, documented
from kompensa.engine.engine import Engine
from kompensa.engine.start import StartRequest
from kompensa.journal.records import LogRow, SagaFilter
from kompensa.model.commands import LogEntry
from kompensa.model.saga import RESTING
from kompensa.model.view import SagaView, timestamp
from kompensa_common.durations import seconds

# Bytes of the whole body. The rest of the body is small next to the input.
INPUT_LIMIT = 256 * 1024
LONGEST_WAIT = 60.0
# Key of the scope. `start` puts the id of the saga there that it started or found.
SAGA_ID = "kompensa.saga_id"
_MAX_LISTED = 500
_EXAMPLE = {
    "definition": "create-order",
    "input": {
        "customerId": "5b1f1f0e-8a53-4a0e-9a53-0f6f9c1c2a11",
        "items": [
            {"productId": "b7a4c1de-0001-4000-8000-000000000001", "quantity": 2, "price": "29.99"},
            {"productId": "b7a4c1de-0002-4000-8000-000000000002", "quantity": 1, "price": "149.99"},
        ],
        "totalAmount": "209.97",
        "paymentMethodId": "pm-abc",
    },
    "idempotencyKey": "cart-123",
}
OF_ONE_SAGA = ("parameter-invalid", "unknown-saga", "not-ready", "journal-unavailable")
Wait = Annotated[
    str | None,
    Query(
        description=f"Answer when the saga ends or needs a person, or after this time, at most {LONGEST_WAIT:g}s",
        examples=["5s"],
    ),
]
Start = Callable[[str, Request, str | None], Coroutine[Any, Any, Response]]
"""Starts a saga: the namespace, the request with the body, and how long to wait for the saga's end."""
SagaId = Annotated[str, PathParameter(pattern=UUID, description="The saga's id")]
Name = Annotated[str | None, Query(description="The name of its Saga object, or the one it was started with")]
After = Annotated[str | None, Query(pattern=UUID, description="The id of the last saga of the page before")]
Phase = Literal[
    "Pending", "Running", "Suspended", "Compensating", "Succeeded", "Compensated", "InterventionRequired", "Terminated"
]


def starter(engine: Engine) -> Start:
    """The function that starts a saga. `Shortcut` calls it; the route exists for the OpenAPI document."""

    async def start(namespace: str, request: Request, wait: Wait = None) -> Response:
        patience = _patience(wait)
        wanted = decoded(await _input_bounded(request), StartRequest)
        saga_id, fresh = await engine.sagas.start(namespace, wanted)
        request.scope[SAGA_ID] = saga_id
        if patience is None:
            return answer(await engine.sagas.view(saga_id), 202 if fresh else 200)
        view = await engine.sagas.rested(saga_id, patience)
        return answer(view, 200 if view.phase in RESTING or not fresh else 202)

    return start


def routes(engine: Engine) -> APIRouter:
    """The routes for this engine."""
    router = APIRouter(prefix="/v1", tags=["sagas"], responses=documented(*OF_EVERY_ROUTE))
    router.add_api_route(
        "/namespaces/{namespace}/sagas",
        starter(engine),
        methods=["POST"],
        summary="Start a saga",
        status_code=202,
        openapi_extra=body_of(StartRequest, _EXAMPLE),
        responses={
            202: replies(SagaView, "Accepted and written to the journal"),
            200: replies(SagaView, "The saga existed (same id or key, and same input), or ended within `wait`"),
            **documented(
                *OF_BODIES,
                *("parameter-invalid", "unknown-definition", "input-invalid", "input-too-large", "not-storable"),
                *("id-reused", "idempotency-key-reused", "overloaded", "not-ready", "journal-unavailable"),
            ),
        },
    )

    @router.get(
        "/sagas",
        summary="List sagas, newest first",
        responses={
            200: replies(SagaList, "A page"),
            **documented("parameter-invalid", "not-storable", "page-gone", "not-ready", "journal-unavailable"),
        },
    )
    async def page(
        namespace: str | None = None,
        name: Name = None,
        phase: Phase | None = None,
        definition: str | None = None,
        source: Literal["object", "api"] | None = None,
        active: bool | None = None,
        limit: Annotated[int, Query(ge=1, le=_MAX_LISTED)] = 100,
        after: After = None,
    ) -> Response:
        wanted = SagaFilter(
            namespace=namespace,
            name=name,
            phase=phase,
            definition=definition,
            source=source,
            active=active,
            after=after,
            limit=limit,
        )
        return answer(SagaList(await engine.sagas.page(wanted)))

    @router.get(
        "/sagas/{saga_id}",
        summary="Show a saga with its history",
        responses={200: replies(SagaWithHistory, "The saga, with its history"), **documented(*OF_ONE_SAGA)},
    )
    async def get(saga_id: SagaId) -> Response:
        view = await engine.sagas.view(saga_id)
        return answer(SagaWithHistory(**asdict(view), history=_entries(await engine.sagas.history(saga_id))))

    @router.get(
        "/sagas/{saga_id}/log",
        summary="Show a saga's history",
        responses={200: replies(History, "Every line, in order"), **documented(*OF_ONE_SAGA)},
    )
    async def log(saga_id: SagaId) -> Response:
        return answer(History(_entries(await engine.sagas.history(saga_id))))

    @router.post(
        "/sagas/{saga_id}/object-deleted",
        summary="Settle a saga whose object is gone",
        status_code=202,
        openapi_extra=body_of(ObjectDeleted, {"deletionPolicy": "Compensate"}),
        responses={202: replies(SagaView, "Accepted"), **documented(*OF_ONE_SAGA, *OF_BODIES)},
    )
    async def object_deleted(saga_id: SagaId, request: Request) -> Response:
        policy = decoded(await request.body(), ObjectDeleted).deletion_policy
        return answer(await engine.sagas.object_deleted(saga_id, policy), 202)

    @router.post(
        "/sagas/{saga_id}/{what}",
        summary="Cancel (that is, compensate), suspend or resume a saga",
        status_code=202,
        openapi_extra=body_of(Ask, {"reason": "asked by the customer"}),
        responses={
            202: replies(SagaView, "Accepted and written to the journal"),
            **documented(*OF_ONE_SAGA, *OF_BODIES, "saga-ended", "not-storable"),
        },
    )
    async def ask(saga_id: SagaId, what: Literal["cancel", "suspend", "resume"], request: Request) -> Response:
        wanted = decoded(await request.body(), Ask)
        view = await engine.sagas.ask(saga_id, what, wanted.reason, generation=wanted.generation)
        return answer(view, 202)

    return router


async def _input_bounded(request: Request) -> bytes:
    body = await request.body()
    if len(body) > INPUT_LIMIT:
        raise BadRequestError(
            "input-too-large", f"a saga's input may have {INPUT_LIMIT} bytes; pass a reference to what is larger"
        )
    return body


# Most starts wait equally long. Parsing the duration each time would cost a hundredth of the engine's processor time.
@lru_cache(maxsize=256)
def _patience(wait: str | None) -> float | None:
    try:
        return None if wait is None else min(seconds(wait), LONGEST_WAIT)
    except ValueError as error:
        raise BadRequestError("parameter-invalid", f"wait: {error}") from error


def _entries(rows: list[LogRow]) -> list[HistoryEntry]:
    return [
        HistoryEntry(
            at=timestamp(entry.at),
            event=entry.kind,
            version=row.version,
            epoch=row.epoch,
            step=entry.step,
            attempt=entry.attempt,
            reason=entry.reason,
            message=entry.message,
        )
        for row in rows
        for entry in msgspec.json.decode(row.entries, type=list[LogEntry])
    ]
