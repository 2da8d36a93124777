"""An object whose requests the API server refuses."""

from collections.abc import Iterable
from typing import Any

import pytest

from kompensa.cluster.kube import RefusedError, UnavailableError
from kompensa.cluster.resources import PARTICIPANTS, Object, Resource
from kompensa.handlers.kind import Kind
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError

FORBIDDEN = RefusedError("participants/status is forbidden", status=403)


class Cluster:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.written: list[Object] = []

    async def set_status(self, _: Resource, __: str, ___: str, ____: str, status: Object) -> Object:
        if self.errors:
            raise self.errors.pop(0)
        self.written.append(status)
        return {}


class Failing(Kind):
    resource = PARTICIPANTS

    async def reconcile(self, seen: WatchedObject, attempt: int) -> float | None:
        raise FORBIDDEN

    async def forget(self, seen: WatchedObject) -> None:
        raise AssertionError


def seen(namespace: str = "shop") -> WatchedObject:
    metadata: dict[str, Any] = {"namespace": namespace, "name": "stub", "uid": f"uid-{namespace}", "generation": 1}
    return WatchedObject({"metadata": metadata})


def waits(errors: Iterable[RetryLaterError]) -> list[float]:
    return [error.after for error in errors]


async def attempt(kind: Kind, number: int) -> RetryLaterError:
    with pytest.raises(RetryLaterError) as raised:
        await kind._work(seen(), number)
    return raised.value


async def test_a_refusal_is_shown_on_the_object_and_repeated_after_waits_that_grow_to_a_bound() -> None:
    cluster = Cluster()
    kind = Failing(cluster)  # type: ignore[arg-type]
    errors = [await attempt(kind, number) for number in (0, 3, 1000)]
    assert {c["reason"] for c in cluster.written[0]["conditions"]} == {"RequestRefused"}
    first, later, last = waits(errors)
    assert first < 10 < later <= last <= 90


@pytest.mark.parametrize("error", [FORBIDDEN, UnavailableError("the API server is away")])
async def test_a_status_that_cannot_be_written_is_no_defect_of_the_operator(error: Exception) -> None:
    await attempt(Failing(Cluster(error)), 0)  # type: ignore[arg-type]


async def test_the_objects_of_one_namespace_can_be_woken() -> None:
    kind = Failing(Cluster())  # type: ignore[arg-type]
    woken: list[str] = []
    for namespace in ("shop", "crm"):
        await kind.offer(seen(namespace))
    kind.queue.wake = woken.append  # type: ignore[method-assign]
    kind.wake("shop")
    assert woken == ["shop/stub"]
