"""The page /docs: Swagger UI from an installed package, so that it loads nothing from the Internet."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

FILES = "/docs/files"


def install(app: FastAPI) -> None:
    """Serve /docs and its files. The application must be made without pages of its own (`docs_url`, `redoc_url`)."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        # Relative, so that the page also works behind a proxy that takes a prefix away.
        files = FILES.removeprefix("/")
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url=f"{files}/swagger/swagger-ui-bundle.js",
            swagger_css_url=f"{files}/swagger/swagger-ui.css",
            swagger_favicon_url=f"{files}/fastapi/favicon.png",
        )

    app.mount(FILES, StaticFiles(packages=[("fastapi_standalone_docs", "static")]))
