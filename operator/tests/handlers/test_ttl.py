"""Finished Sagas are deleted when due, and a namespace that refuses holds up no other."""

import asyncio
from typing import Any

import pytest

from kompensa.cluster.kube import RefusedError
from kompensa.handlers import ttl
from kompensa.handlers.ttl import FinishedSagas
from kompensa.handlers.watched_object import WatchedObject


class Cluster:
    def __init__(self, *refusing: str) -> None:
        self.refusing = refusing
        self.deleted: list[str] = []
        self.asked: list[str] = []
        self.done = asyncio.Event()

    async def delete(self, _: object, namespace: str, name: str, *, uid: str) -> None:
        self.asked.append(namespace)
        if namespace in self.refusing:
            raise RefusedError("sagas is forbidden", status=403)
        self.deleted.append(name)
        self.done.set()


def finished(namespace: str, name: str, *, completed: str) -> WatchedObject:
    metadata: dict[str, Any] = {"namespace": namespace, "name": name, "uid": f"{namespace}-{name}"}
    spec, status = {"ttlSecondsAfterFinished": 0}, {"completionTime": completed}
    return WatchedObject({"metadata": metadata, "spec": spec, "status": status})


async def test_a_namespace_that_refuses_deletions_is_asked_once_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ttl, "DELETES_PER_SECOND", 1000.0)
    cluster = Cluster("broken")
    sagas = FinishedSagas(cluster)  # type: ignore[arg-type]
    for number in range(50):
        sagas.note(finished("broken", f"old-{number}", completed="2020-01-01T00:00:00Z"))
    sagas.note(finished("shop", "order-1", completed="2020-01-02T00:00:00Z"))
    running = asyncio.create_task(sagas.run())
    await asyncio.wait_for(cluster.done.wait(), 10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert cluster.asked == ["broken", "shop"]
    assert len(sagas) >= 50
