"""The engine's HTTP API as the operator and the command line use it.

The callers distinguish two errors: the engine cannot be reached (try again, nothing is lost), or it has answered with a
problem (report it on the object). A wrong API token counts as the former, because the object is not at fault.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, Self
from urllib.parse import quote

import aiohttp
import msgspec

from kompensa.model.specs import DeletionPolicy
from kompensa_common.addresses import without_login

Ask = Literal["cancel", "suspend", "resume"]

_PAGE = 500
_UNAUTHORIZED = (401, 403)
_RETRYABLE = (408, 429)


class EngineUnreachableError(Exception):
    """No usable answer: connection, time-out, 5xx, too many requests, or a refused token."""


class TokenRefusedError(EngineUnreachableError):
    """It answers, but not to us: there is no token, or it is not the engine's."""


class EngineProblemError(Exception):
    """The engine refuses, in the form of RFC 9457; `slug` is the end of the problem's type."""

    def __init__(self, status: int, slug: str, detail: str, members: Mapping[str, Any]) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.detail = detail
        self.members = members


class ActiveSaga(msgspec.Struct, frozen=True, kw_only=True):
    """A saga that an object started and that has not ended, as the sweep needs it."""

    id: str
    namespace: str


class DeclaredObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object that the engine keeps a declaration for."""

    kind: str
    namespace: str
    name: str
    uid: str


class EngineClient:
    """Calls of one engine Service; each has `timeout` seconds."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address.rstrip("/")

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, token: str | None, *, timeout: float = 10.0) -> AsyncIterator[Self]:
        address, login = without_login(url)
        headers = {"Authorization": f"Bearer {token}"} if token else login
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=3.0)
        connector = aiohttp.TCPConnector(limit=64)
        async with aiohttp.ClientSession(headers=headers, timeout=limits, connector=connector) as session:
            yield cls(session, address)

    async def ready(self) -> bool:
        """Does the engine answer; what is wrong with it is its own probe's business."""
        try:
            await self._request("GET", "/healthz")
        except (EngineUnreachableError, EngineProblemError):
            return False
        return True

    async def put_participant(
        self, namespace: str, name: str, spec: Mapping[str, Any], token: str | None, *, uid: str | None = None
    ) -> None:
        """Declare a participant; `uid` is that of the object that says so, None when there is none."""
        body = _given(spec=spec, token=token, objectUid=uid)
        await self._request("PUT", _path(namespace, "participants", name), body)

    async def delete_participant(self, namespace: str, name: str, *, uid: str | None = None) -> None:
        """With `uid` only what that object declared."""
        await self._delete(_path(namespace, "participants", name), _given(objectUid=uid))

    async def put_definition(
        self, namespace: str, name: str, spec: Mapping[str, Any], *, uid: str | None = None
    ) -> str:
        """Returns the revision of this spec; `uid` is that of the object that says so, None when there is none."""
        body = _given(spec=spec, objectUid=uid)
        reply = await self._request("PUT", _path(namespace, "definitions", name), body)
        return str(reply.get("revision", ""))

    async def delete_definition(self, namespace: str, name: str, *, uid: str | None = None) -> None:
        """Runs keep their revision; new ones are refused. With `uid` only what that object declared."""
        await self._delete(_path(namespace, "definitions", name), _given(objectUid=uid))

    async def declared_objects(self) -> list[DeclaredObject]:
        """The objects of all namespaces that declared what the engine knows, whether they still exist or not."""
        reply = await self._request("GET", "/v1/declared-objects")
        return msgspec.convert(reply.get("items") or [], list[DeclaredObject])

    async def definitions(self, namespace: str) -> list[str]:
        reply = await self._request("GET", _path(namespace, "definitions"))
        return sorted(str(item.get("name")) for item in reply.get("items") or [])

    async def services_of_steps(self, namespace: str, definition: str, revision: str) -> dict[str, str]:
        """The Participant of each step; empty if the definition is gone or has another revision by now."""
        reply = await self._request("GET", _path(namespace, "definitions"))
        for item in reply.get("items") or []:
            if (item.get("name"), item.get("revision")) == (definition, revision):
                return {step["name"]: step["participantRef"]["name"] for step in item["spec"]["steps"]}
        return {}

    async def start_saga(self, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Start a saga, or find the one with the same id; returns its view."""
        return await self._request("POST", _path(namespace, "sagas"), body)

    async def saga(self, saga: str) -> dict[str, Any]:
        """A saga's view."""
        return _with("id", await self._request("GET", _saga_path(saga)))

    async def saga_log(self, saga: str) -> list[dict[str, Any]]:
        """A saga's transitions, oldest first."""
        return list((await self._request("GET", _saga_path(saga, "log"))).get("items") or [])

    async def sagas(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """One page of views, newest first; `query` as the API takes it (namespace, phase, definition, limit, ...)."""
        return list(_with("items", await self._request("GET", "/v1/sagas", query=query))["items"])

    async def ask(self, saga: str, what: Ask, *, reason: str = "", generation: int | None = None) -> None:
        """Ask something of a saga; `generation` is that of the object that asks, when one does."""
        await self._request("POST", _saga_path(saga, what), _given(reason=reason or None, generation=generation))

    async def object_deleted(self, saga: str, policy: DeletionPolicy | None) -> None:
        """Settle a saga whose object is gone, by this policy or by the one it was started with.

        If the engine never accepted the saga, nothing happens.
        """
        try:
            await self._request(
                "POST", _saga_path(saga, "object-deleted"), {"deletionPolicy": policy} if policy else {}
            )
        except EngineProblemError as problem:
            if problem.status != 404:
                raise

    async def active_object_sagas(self) -> AsyncIterator[ActiveSaga]:
        """Every saga that an object started and that has not ended, page by page."""
        after = ""
        while True:
            query = {"source": "object", "active": "true", "limit": str(_PAGE)} | ({"after": after} if after else {})
            page = await self._request("GET", "/v1/sagas", query=query)
            items = msgspec.convert(page.get("items") or [], list[ActiveSaga])
            for item in items:
                yield item
            if len(items) < _PAGE:
                return
            after = items[-1].id

    async def _delete(self, path: str, query: Mapping[str, str]) -> None:
        try:
            await self._request("DELETE", path, query=query)
        except EngineProblemError as problem:
            if problem.status != 404:
                raise

    async def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            async with self._session.request(
                method, self._address + path, json=body, params=query, allow_redirects=False
            ) as response:
                return _parsed(f"{method} {self._address}{path}", response.status, await response.read())
        except TimeoutError as error:
            raise EngineUnreachableError(f"the engine at {self._address} did not answer in time") from error
        except aiohttp.ClientError as error:
            raise EngineUnreachableError(f"the engine at {self._address} cannot be reached: {error}") from error


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _with(member: str, reply: dict[str, Any]) -> dict[str, Any]:
    """The reply, if it can be an engine's."""
    if member not in reply:
        raise EngineProblemError(200, "", f"the answer has no {member}", reply)
    return reply


def _path(namespace: str, collection: str, name: str | None = None) -> str:
    path = f"/v1/namespaces/{quote(namespace, safe='')}/{collection}"
    return path if name is None else f"{path}/{quote(name, safe='')}"


def _saga_path(saga: str, part: str | None = None) -> str:
    path = f"/v1/sagas/{quote(saga, safe='')}"
    return path if part is None else f"{path}/{part}"


def _parsed(request: str, status: int, raw: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(raw) if raw else {}
    except msgspec.DecodeError:
        document = {}
    members: dict[str, Any] = document if isinstance(document, dict) else {"items": document}
    if status < 300:
        return members
    detail = str(members.get("detail") or members.get("title") or raw[:200].decode(errors="replace"))
    if status in _UNAUTHORIZED:
        raise TokenRefusedError(f"{request}: {status}: the token is refused, check KOMPENSA_API_TOKEN on both sides")
    if status >= 500 or status in _RETRYABLE:
        raise EngineUnreachableError(f"{request}: {status} {detail}")
    raise EngineProblemError(status, str(members.get("type", "")).rsplit(":", 1)[-1], detail, members)
