"""The local stack as a target of the demo."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from kompensa.client.engine_client import EngineClient
from kompensa_dev.demo.checks import CheckFailedError
from kompensa_dev.demo.shop_client import ShopClient
from kompensa_dev.demo.target import Hint, ReplicaLine, View
from kompensa_dev.replicas import ReplicaWorker
from kompensa_dev.stack import Stack

NAMESPACE = "shop"
LISTED = {"namespace": NAMESPACE, "limit": "50"}


class LocalTarget:
    """Sagas over HTTP, the engine by its process id."""

    placing = "POST /v1/namespaces/shop/sagas"

    def __init__(self, stack: Stack, shop: ShopClient, engine: EngineClient) -> None:
        if stack.kafka is None:
            raise CheckFailedError("the demo needs Kafka and Connect: start the stack without --services-only")
        self.shop = shop
        self.kafka = stack.kafka.bootstrap
        self._stack = stack
        self._engine = engine
        self._ids: dict[str, str] = {}
        self._starting: list[asyncio.Task[None]] = []

    async def place(self, name: str, order: Mapping[str, Any]) -> None:
        body = {"definition": "create-order", "name": name, "input": order}
        self._ids[name] = str((await self._engine.start_saga(NAMESPACE, body))["id"])

    async def saga(self, name: str) -> View:
        return await self._engine.saga(self._ids[name])

    async def saga_view(self, name: str) -> View:
        return await self.saga(name)

    async def sagas(self) -> Sequence[View]:
        return await self._engine.sagas(LISTED)

    async def replicas(self) -> Sequence[ReplicaLine]:
        async with aiohttp.ClientSession() as session:
            return [await _line(session, worker) for worker in self._stack.replicas.values()]

    async def stop_service(self, service: str) -> None:
        await asyncio.to_thread(self._stack.services[service].stop)

    async def start_service(self, service: str) -> None:
        self._starting.append(asyncio.create_task(asyncio.to_thread(self._stack.start_service, service)))

    async def kill_engine(self) -> str:
        engine = self._stack.engine
        await asyncio.to_thread(engine.kill)
        return f"the engine's process (kill -9 {engine.pid})"

    async def engine_back(self) -> None:
        await asyncio.to_thread(self._stack.start_engine)
        await asyncio.gather(*self._starting)
        self._starting.clear()

    def hints(self) -> Sequence[Hint]:
        kafka = f"KOMPENSA_KAFKA={self.kafka} "
        api = f" --api {self._stack.ports.api_url}"
        orders = self.shop.urls["orders"]
        bearer = f'"Authorization: Bearer $(cat {self._stack.callers.folder}/orders/backoffice)"'
        return (
            Hint(command=f"kompensa sagas list{api}", purpose="every saga"),
            Hint(command=f"kompensa sagas get {max(self._ids)}{api}", purpose="one saga: steps and history"),
            Hint(command=f"{kafka}kompensa watch orders.customer-created --last 3", purpose="follow a topic"),
            Hint(command=f"curl -H {bearer} {orders}/orders", purpose="all orders, as the caller backoffice"),
            Hint(command=f"{orders}/docs", purpose="orders' API; the other services have one, too"),
        )


async def _line(session: aiohttp.ClientSession, worker: ReplicaWorker) -> ReplicaLine:
    async with session.get(f"{worker.url}/status") as reply:
        status = await reply.json()
    return ReplicaLine(
        name=worker.document.name,
        target=worker.document.spec["target"]["table"],
        applied=int(status["appliedRecords"]),
        lag=int(status["lagRecords"] or 0),
        parked=int(status["parkedKeys"]),
    )
