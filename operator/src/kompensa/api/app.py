"""The application: routes, errors, health, metrics, and the OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp

from kompensa.api import declarations, docs, problems, sagas
from kompensa.api.auth import Authentication
from kompensa.api.documents import schemas
from kompensa.api.shortcut import Shortcut
from kompensa.api.start_spans import StartSpans
from kompensa.engine.engine import Engine
from kompensa_common.tracing import Spans

_DESCRIPTION = """
Sagas across services. Each ends Succeeded or Compensated, or waits for a person in InterventionRequired.

Errors are problem documents (RFC 9457) whose `type` ends in a slug. 429 and 503 have a Retry-After header.
"""


def application(engine: Engine, *, token: str | None, spans: Spans | None = None) -> ASGIApp:
    """The API of this engine, behind its authentication. With `spans`, each start of a saga is one."""
    app = FastAPI(
        title="Kompensa",
        description=_DESCRIPTION,
        version="v1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would go to the host that the request names, which may be any
    )
    problems.install(app)
    docs.install(app)
    app.include_router(sagas.routes(engine))
    app.include_router(declarations.routes(engine))
    _add_health(app, engine)
    _describe(app, secured=token is not None)
    # The first one added is the innermost, so any other middleware also covers the start of a saga.
    app.add_middleware(Shortcut, start=sagas.starter(engine))
    guarded = Authentication(app, token=token)
    return guarded if spans is None else StartSpans(guarded, spans=spans)


def _add_health(app: FastAPI, engine: Engine) -> None:
    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", tags=["health"], summary="The process responds", response_class=PlainTextResponse)
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.head("/readyz", include_in_schema=False)
    @app.get(
        "/readyz",
        tags=["health"],
        summary="The engine accepts sagas",
        response_class=PlainTextResponse,
        responses=problems.documented("not-ready"),
    )
    async def readyz() -> Response:
        trouble = engine.trouble
        if trouble is None:
            return PlainTextResponse("ok\n")
        return problems.problem_response("not-ready", trouble)

    @app.get("/metrics", tags=["health"], summary="Prometheus metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _describe(app: FastAPI, *, secured: bool) -> None:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            components = made.setdefault("components", {})
            components.setdefault("schemas", {}).update(schemas())
            if secured:
                components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
                made["security"] = [{"token": []}]
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to replace its document
