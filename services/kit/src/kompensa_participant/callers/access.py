"""The access table of a service: each route has one row, and a row names the callers of its routes.

access = [
    Allow(ENGINE, routes=["POST /reservations", "POST /reservations/release"]),
    Allow("backoffice", routes=["GET /stock", "PUT /stock/{product_id}"]),
]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Mount

from kompensa_participant.settings import SettingsError

ENGINE = "engine"
"""The caller that runs sagas: its token is the one that Participant objects name."""
EVERYONE = "*"
"""In a row: no token is needed."""
CALLER_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class AccessTableError(SettingsError):
    """The access table of a service does not fit its routes."""


class Allow:
    """A row of the table: these callers may use these routes."""

    def __init__(self, *callers: str, routes: Iterable[str]) -> None:
        """Name callers and routes.

        Parameters
        ----------
        callers
            For example `engine`; or `EVERYONE` alone, with or without a token.
        routes
            Method and path as the route declares them, for example `PUT /stock/{product_id}`. A mounted folder of
            files has the method GET.
        """
        self.callers = frozenset(callers)
        self.routes = tuple(routes)


EVERY_SERVICE = (
    Allow(EVERYONE, routes=["GET /healthz", "GET /readyz", "GET /metrics"]),  # the kubelet and Prometheus send no token
    Allow(EVERYONE, routes=["GET /docs", "GET /docs/files", "GET /openapi.json"]),  # the description is not secret
    Allow(ENGINE, routes=["GET /operations/{saga_id}/{step}/{direction}"]),
)
"""The rows of the routes that each service has from the kit."""


@dataclass(frozen=True)
class GuardedRoute:
    """A method of a route of the application, with the callers that may use it. `methods` None: it takes any."""

    name: str
    route: BaseRoute
    path: re.Pattern[str]
    methods: frozenset[str] | None
    callers: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        return EVERYONE in self.callers


class AccessTable:
    """The guarded routes of an application, in the order in which it tries them."""

    def __init__(self, app: FastAPI, rows: Sequence[Allow]) -> None:
        """Join routes and rows.

        Raises
        ------
        AccessTableError
            If a route is in no row, a row names a route that does not exist, a route is in two rows, or a name cannot
            be a caller's.
        """
        callers = _callers_by_route(rows)
        found = list(_routes(app))
        names = {route.name for route in found}
        _require_none(names - callers.keys(), "is in no row of the access table: add it to a row, with its callers")
        _require_none(callers.keys() - names, "is in the access table, but the service has no such route: correct it")
        self.routes = [replace(route, callers=callers[route.name]) for route in found]
        self.callers = frozenset[str]().union(*callers.values()) - {EVERYONE}

    def route_of(self, method: str, path: str) -> GuardedRoute | None:
        """The route that answers a request; None if the application answers 404 or 405."""
        for route in self.routes:
            if (route.methods is None or method in route.methods) and route.path.match(path):
                return route
        return None


def _callers_by_route(rows: Sequence[Allow]) -> Mapping[str, frozenset[str]]:
    callers: dict[str, frozenset[str]] = {}
    twice = set()
    for row in rows:
        _check_callers(row)
        for route in row.routes:
            if route in callers:
                twice.add(route)
            callers[route] = row.callers
    _require_none(twice, "is in two rows of the access table: keep one, with all its callers")
    return callers


def _check_callers(row: Allow) -> None:
    routes = ", ".join(row.routes)
    if not row.callers:
        raise AccessTableError(f"the row of {routes} names no caller: name one, or EVERYONE")
    if EVERYONE in row.callers and len(row.callers) > 1:
        raise AccessTableError(f"the row of {routes} names EVERYONE and single callers: keep one of the two")
    wrong = {name for name in row.callers if name != EVERYONE and not CALLER_NAME.fullmatch(name)}
    _require_none(wrong, "cannot be the name of a caller: use letters a to z, digits and hyphens")


def _routes(app: FastAPI) -> Iterator[GuardedRoute]:
    """Each method of each route, without callers. HEAD belongs to GET. A mounted application gets every method."""
    for found in iter_route_contexts(app.routes):
        if isinstance(found.original_route, Mount):
            yield GuardedRoute(f"GET {found.path}", found.original_route, found.path_regex, None)
        elif found.methods:
            for method in found.methods - ({"HEAD"} if "GET" in found.methods else set()):
                methods = frozenset({"GET", "HEAD"} & found.methods if method == "GET" else {method})
                yield GuardedRoute(f"{method} {found.path}", found.original_route, found.path_regex, methods)
        else:
            raise AccessTableError(
                f"{found.path} has no method: the callers of a WebSocket cannot be checked, remove it"
            )


def _require_none(wrong: Iterable[str], what: str) -> None:
    named = sorted(wrong)
    if named:
        raise AccessTableError(f"{', '.join(named)} {what}")
