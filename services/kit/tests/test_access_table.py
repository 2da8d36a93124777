"""The access table of a service: each route is in one row, and each row is right."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, WebSocket

from kompensa_participant import ENGINE, EVERYONE, Allow, Service
from kompensa_participant.callers.access import AccessTableError
from kompensa_participant.settings import Settings

router = APIRouter(prefix="/things")


@router.get("")
async def listing() -> list[str]:
    return []


@router.api_route("/{thing}", methods=["PUT", "DELETE"])
async def change(thing: str) -> str:
    return thing


ROUTES = ("GET /things", "PUT /things/{thing}", "DELETE /things/{thing}")


def make(*rows: Allow, routers: tuple[APIRouter, ...] = (router,)) -> None:
    """The application of a service with these rows."""
    service = Service(name="orders", title="Things", routers=routers, access=rows)
    service.app(Settings(database_url="postgresql://nowhere"))


def test_every_route_in_one_row_is_accepted() -> None:
    make(Allow(ENGINE, "backoffice", routes=ROUTES[:2]), Allow(EVERYONE, routes=ROUTES[2:]))


@pytest.mark.parametrize("missing", ROUTES)
def test_a_route_in_no_row_is_an_error_at_start(missing: str) -> None:
    with pytest.raises(AccessTableError) as error:
        make(Allow(ENGINE, routes=[route for route in ROUTES if route != missing]))
    assert str(error.value).startswith(f"{missing} is in no row")


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (Allow(ENGINE, routes=["POST /things"]), "POST /things"),
        (Allow(ENGINE, routes=["GET /things"]), "GET /things"),
        (Allow("backoffice", routes=["GET /healthz"]), "GET /healthz"),
        (Allow(routes=["GET /else"]), "GET /else"),
        (Allow(EVERYONE, ENGINE, routes=["GET /else"]), "GET /else"),
        (Allow("Back Office", routes=["GET /else"]), "Back Office"),
        (Allow("engine.second", routes=["GET /else"]), "engine.second"),
    ],
)
def test_a_wrong_row_is_an_error_that_names_it(row: Allow, named: str) -> None:
    with pytest.raises(AccessTableError, match=named.replace(".", r"\.")):
        make(Allow(ENGINE, routes=ROUTES), row)


def test_a_websocket_is_refused_because_its_callers_cannot_be_checked() -> None:
    sockets = APIRouter()

    @sockets.websocket("/live")
    async def live(_: WebSocket) -> None: ...

    with pytest.raises(AccessTableError, match="/live"):
        make(Allow(ENGINE, routes=ROUTES), routers=(router, sockets))
