"""`EngineClient` without an engine: it notes the handlers' requests, and answers as a test says."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kompensa.client.engine_client import ActiveSaga, Ask, DeclaredObject, EngineProblemError
from kompensa.model.specs import DeletionPolicy

UNKNOWN_SAGA = EngineProblemError(404, "unknown-saga", "there is no such saga", {})


@dataclass
class FakeEngineClient:
    """The requests that the handlers make, in the form of `EngineClient`.

    Attributes
    ----------
    fails
        Raised by every request until it is taken away.
    refuses
        By request (start, cancel, suspend, resume), the error that it is answered with.
    active
        By saga, its namespace.
    sagas
        By saga, its phase.
    asked
        The requests about sagas that were accepted, in their order.
    """

    fails: Exception | None = None
    refuses: dict[str, Exception] = field(default_factory=dict)
    active: dict[str, str] = field(default_factory=dict)
    declared: list[DeclaredObject] = field(default_factory=list)
    participants: dict[str, str | None] = field(default_factory=dict)
    """By namespace and name, the token."""
    definitions_put: list[str] = field(default_factory=list)
    sagas: dict[str, str] = field(default_factory=dict)
    settled: list[tuple[str, DeletionPolicy | None]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def put_participant(
        self, namespace: str, name: str, spec: Mapping[str, Any], token: str | None, *, uid: str | None
    ) -> None:
        self._fail()
        self.participants[f"{namespace}/{name}"] = token

    async def delete_participant(self, namespace: str, name: str, *, uid: str | None) -> None:
        self._fail()
        self.participants.pop(f"{namespace}/{name}", None)

    async def put_definition(self, namespace: str, name: str, spec: Mapping[str, Any], *, uid: str | None) -> str:
        self._fail()
        self.definitions_put.append(name)
        return "revision-1"

    async def active_object_sagas(self) -> AsyncIterator[ActiveSaga]:
        for saga, namespace in self.active.items():
            yield ActiveSaga(id=saga, namespace=namespace)

    async def declared_objects(self) -> list[DeclaredObject]:
        return list(self.declared)

    async def object_deleted(self, saga: str, policy: DeletionPolicy | None) -> None:
        self._fail()
        self.settled.append((saga, policy))

    async def start_saga(self, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self._fail("start")
        self.sagas.setdefault(body["id"], "Suspended" if body["suspend"] else "Running")
        self.asked.append("start")
        return self._view(body["id"])

    async def saga(self, saga: str) -> dict[str, Any]:
        if saga not in self.sagas:
            raise UNKNOWN_SAGA
        return self._view(saga)

    async def ask(self, saga: str, ask: Ask, *, reason: str, generation: int | None) -> None:
        self._fail(ask)
        self.asked.append(ask)

    def _view(self, saga: str) -> dict[str, Any]:
        return {
            "id": saga,
            "namespace": "shop",
            "name": "order-1",
            "definition": "create-order",
            "revision": "r",
            "phase": self.sagas[saga],
            "progress": "0/2",
            "startTime": "2026-03-01T12:00:00.000Z",
            "conditions": [],
        }

    def _fail(self, request: str = "") -> None:
        error = self.fails or self.refuses.get(request)
        if error is not None:
            raise error
