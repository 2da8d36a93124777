"""The world of the operator's tests: objects in a namespace of their own, and a participant that a test controls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from aiohttp import ClientSession

from kompensa.client.engine_client import EngineClient
from kompensa.cluster.kube import Kube, NotFoundError
from kompensa.cluster.resources import DEFINITIONS, PARTICIPANTS, SAGAS, Object, Resource
from tests.integration.apiserver import ApiServer
from tests.integration.operator_processes import API_TOKEN, OperatorProcesses
from tests.integration.stub_participant import StubParticipant
from tests.support.waiting import until

T = TypeVar("T")

QUICKLY = {"initialInterval": "20ms", "backoffCoefficient": 1, "maximumInterval": "100ms", "maximumAttempts": 5}


@dataclass
class Scene:
    """A namespace with the Participant `stub` in it, and the means to make and look at objects."""

    kube: Kube
    processes: OperatorProcesses
    namespace: str
    participant: StubParticipant

    async def create(self, resource: Resource, name: str, spec: Object) -> Object:
        metadata = {"name": name, "namespace": self.namespace}
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}
        return await self.kube.create(resource, self.namespace, body)

    async def definition(self, name: str = "order", steps: tuple[str, ...] = ("reserve", "pay"), **spec: Any) -> None:
        """A definition whose steps POST to /<step> and are undone by POST /<step>/undo; returns when it is Ready."""
        await self.create(DEFINITIONS, name, definition_spec(steps) | spec)
        await self.until_ready(DEFINITIONS, name)

    async def saga(self, name: str, definition: str = "order", **spec: Any) -> Object:
        return await self.create(SAGAS, name, {"definitionRef": {"name": definition}, "input": {"order": name}} | spec)

    async def edit(self, name: str, **spec: Any) -> Object:
        return await self.kube.merge(SAGAS, self.namespace, name, {"spec": spec})

    async def delete(self, resource: Resource, name: str) -> None:
        found = await self.kube.get(resource, self.namespace, name)
        await self.kube.delete(resource, self.namespace, name, uid=found["metadata"]["uid"])

    async def status(self, name: str, resource: Resource = SAGAS) -> Object:
        """The status; empty when there is none yet, or no object."""
        try:
            found = await self.kube.get(resource, self.namespace, name)
        except NotFoundError:
            return {}
        return found.get("status") or {}

    async def until_phase(self, name: str, phase: str, *, seconds: float = 20.0) -> Object:
        async def reached() -> Object | None:
            status = await self.status(name)
            return status if status.get("phase") == phase else None

        return await until(reached, f"Saga {name} to be {phase}", seconds=seconds)

    async def until_gone(self, name: str) -> None:
        """Until there is no Saga of this name."""

        async def gone() -> bool:
            try:
                await self.kube.get(SAGAS, self.namespace, name)
            except NotFoundError:
                return True
            return False

        await until(gone, f"Saga {name} to be deleted")

    async def until_event(self, apiserver: ApiServer, reason: str) -> None:
        """Until this namespace has an Event with this reason."""

        async def told() -> bool:
            events = apiserver.get("events", "-n", self.namespace)["items"]
            return reason in [event["reason"] for event in events]

        await until(told, f"an Event {reason}")

    async def until_condition(
        self, resource: Resource, name: str, kind: str, status: str, reason: str | None = None
    ) -> Object:
        async def holds() -> Object | None:
            found = conditions(await self.status(name, resource)).get(kind)
            return found if found and found["status"] == status and reason in (None, found["reason"]) else None

        return await until(holds, f"{resource.kind} {name} to be {kind}={status} {reason or ''}")

    async def until_ready(self, resource: Resource, name: str) -> Object:
        return await self.until_condition(resource, name, "Ready", "True")

    async def until_called(self, path: str, times: int = 1) -> None:
        async def called() -> bool:
            return self.participant.calls.count(path) >= times

        await until(called, f"the participant to be called at {path}")

    async def until_noted(self, saga: Object, event: str) -> None:
        """Until the history of this object's saga has such a line: what was asked has reached the engine."""
        async with EngineClient.connect(self.processes.engine_url, API_TOKEN) as engine:

            async def noted() -> bool:
                return event in [entry["event"] for entry in await engine.saga_log(saga["metadata"]["uid"])]

            await until(noted, f"the history to say {event}")

    async def until_unknown(self, definition: str) -> None:
        """Until the engine no longer has a definition of this name."""

        async def unknown() -> bool:
            return definition not in await self.known("definitions")

        await until(unknown, f"the engine to forget {definition}")

    async def known(self, what: Literal["participants", "definitions"]) -> list[str]:
        """The names that the engine knows in this namespace, declared by an object or through the API."""
        url = f"{self.processes.engine_url}/v1/namespaces/{self.namespace}/{what}"
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        async with ClientSession(headers=headers, raise_for_status=True) as session, session.get(url) as response:
            return sorted(item["name"] for item in (await response.json())["items"])

    async def declare_by_hand(self, name: str) -> None:
        """Declare a participant and a definition without objects, as `kompensa apply` does."""
        async with EngineClient.connect(self.processes.engine_url, API_TOKEN) as engine:
            await engine.put_participant(self.namespace, name, {"url": self.participant.url}, None)
            await engine.put_definition(self.namespace, name, definition_spec())

    async def settled(self) -> float:
        """How many deleted Sagas the operator has reported to the engine since it started."""
        return await metric(self.processes.probe_url, "kompensa_operator_settled_sagas_total")

    async def statuses_written(self) -> float:
        """How many sagas the engine has shown at their end, or found to have no object any more."""
        return await metric(self.processes.engine_url, "kompensa_status_writes_total", 'what="resting"')

    async def until_more(self, count: Callable[[], Awaitable[float]], than: float, what: str) -> None:
        async def more() -> bool:
            return await count() > than

        await until(more, what)

    async def until_ended_in_journal(self, saga_name: str) -> None:
        """Ask the engine, which knows the phase even while the API server is down."""
        async with EngineClient.connect(self.processes.engine_url, API_TOKEN) as engine:

            async def ended() -> bool:
                found = await engine.sagas({"namespace": self.namespace, "phase": "Succeeded"})
                return saga_name in [saga["name"] for saga in found]

            await until(ended, f"saga {saga_name} to have ended")

    async def create_participant(self, name: str) -> None:
        await self.create(PARTICIPANTS, name, {"url": self.participant.url, "idempotency": "Keyed", "timeout": "30s"})
        await self.until_ready(PARTICIPANTS, name)


async def metric(url: str, name: str, labels: str = "") -> float:
    """The sum of a metric's samples whose labels contain this text."""
    async with ClientSession() as session, session.get(f"{url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name) and labels in line)


def definition_spec(steps: tuple[str, ...] = ("reserve", "pay")) -> Object:
    return {
        "inputSchema": {
            "type": "object",
            "required": ["order"],
            "properties": {"order": {"type": "string"}, "quantity": {"type": "integer", "minimum": 1}},
        },
        "retryPolicy": QUICKLY,
        "compensation": {"retryPolicy": QUICKLY},
        "steps": [
            {
                "name": step,
                "kind": "Compensatable",
                "participantRef": {"name": "stub"},
                "action": {"http": {"method": "POST", "path": f"/{step}", "body": {"order": "${input.order}"}}},
                "compensation": {"http": {"method": "POST", "path": f"/{step}/undo"}},
            }
            for step in steps
        ],
    }


def conditions(status: Object) -> dict[str, Object]:
    return {condition["type"]: condition for condition in status.get("conditions") or []}
