"""The layer that checks the caller: 401 without a token in force, 403 with one that does not reach the route."""

from __future__ import annotations

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from kompensa_participant import context, errors
from kompensa_participant.callers.access import AccessTable, GuardedRoute
from kompensa_participant.callers.tokens import TokenFiles, fault_of
from kompensa_participant.problem import Problem

ASKED_FOR = "send the token that this service has for you as 'Authorization: Bearer <token>'"


class CallerCheck:
    """Lets a request pass if its caller may use the route. Requests for no route pass, to be answered 404 or 405."""

    def __init__(self, app: ASGIApp, *, table: AccessTable, tokens: TokenFiles, realm: str) -> None:
        """`realm`: the service's name, for WWW-Authenticate."""
        self._app = app
        self._table = table
        self._tokens = tokens
        self._realm = realm

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check(scope)
            except Problem as problem:
                await errors.response(problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        route = self._table.route_of(scope["method"], scope["path"].removeprefix(scope.get("root_path", "")))
        if route is None or route.is_open:
            return
        scope["route"] = route.route  # for the metrics of a request that is refused here
        caller = self._caller(scope)
        structlog.contextvars.bind_contextvars(caller=caller)
        if caller not in route.callers:
            raise self._not_allowed(caller, route)
        context.identify(caller)

    def _caller(self, scope: Scope) -> str:
        caller = self._tokens.known().caller_of(self._token(scope))
        if caller is None:
            detail = "no caller of this service has this token: it was replaced or removed, or is for another service"
            raise self._unauthorized("token-unknown", detail, error="invalid_token")
        return caller

    def _token(self, scope: Scope) -> bytes:
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        if not shown:
            raise self._unauthorized("token-missing", ASKED_FOR)
        scheme, _, rest = shown[0].strip(b" \t").partition(b" ")
        token: bytes = rest.strip(b" \t")
        if len(shown) > 1:
            fault: str | None = "there is more than one Authorization header"
        elif scheme.lower() != b"bearer":
            fault = "the Authorization header has another scheme than Bearer"
        else:
            fault = fault_of(token)
        if fault is not None:
            raise self._unauthorized("token-malformed", f"{fault}: {ASKED_FOR}", error="invalid_token")
        return token

    def _unauthorized(self, slug: str, detail: str, *, error: str | None = None) -> Problem:
        return Problem(401, slug, detail, headers={"WWW-Authenticate": self._challenge(error)})

    def _not_allowed(self, caller: str, route: GuardedRoute) -> Problem:
        detail = f"{caller} may not use {route.name}; its callers are {', '.join(sorted(route.callers))}"
        headers = {"WWW-Authenticate": self._challenge("insufficient_scope")}
        return Problem(403, "caller-not-allowed", detail, headers=headers)

    def _challenge(self, error: str | None) -> str:
        challenge = f'Bearer realm="{self._realm}"'
        return challenge if error is None else f'{challenge}, error="{error}"'
