"""The page /docs: Swagger UI from an installed package, so that a browser needs no Internet access."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

_FILES = "/docs/files"
_SCRIPT, _STYLE, _ICON = "swagger/swagger-ui-bundle.js", "swagger/swagger-ui.css", "fastapi/favicon.png"
PATHS = frozenset({"/docs", *(f"{_FILES}/{file}" for file in (_SCRIPT, _STYLE, _ICON))})
"""The page and all files that it loads, except the OpenAPI document."""


def install(app: FastAPI) -> None:
    """Serve /docs and its files. The application must be made without pages of its own (`docs_url`, `redoc_url`)."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        # Relative, so that the page works behind a proxy that removes a prefix.
        files = _FILES.removeprefix("/")
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url=f"{files}/{_SCRIPT}",
            swagger_css_url=f"{files}/{_STYLE}",
            swagger_favicon_url=f"{files}/{_ICON}",
        )

    app.mount(_FILES, StaticFiles(packages=[("fastapi_standalone_docs", "static")]))
