"""When the publisher writes, and what it does when the API server is away or refuses.

A recorder replaces the API server, so that a test can ask for each kind of failure. tests/integration uses a real one.
"""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from kompensa.cluster import status_publisher
from kompensa.cluster.kube import ConflictError, NotFoundError, RefusedError, UnavailableError
from kompensa.cluster.resources import EVENTS, Object, Resource
from kompensa.cluster.status_publisher import KubernetesStatusPublisher
from kompensa.model.view import SagaView
from kompensa_common.backoff import Backoff


class Recorder:
    """Takes statuses and Events; raises the next of `troubles` first, and holds requests back while `gate` is shut."""

    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)
        self.statuses: list[Object] = []
        self.events: list[Object] = []
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def set_status(self, _: Resource, __: str, ___: str, ____: str, status: Object) -> Object:
        self.asked += 1
        await self.gate.wait()
        if self.troubles:
            raise self.troubles.pop(0)
        self.statuses.append(status)
        return {}

    async def create(self, resource: Resource, _: str, body: Object) -> Object:
        assert resource is EVENTS
        self.events.append(body)
        return body

    @property
    def phases(self) -> list[str]:
        return [status["phase"] for status in self.statuses]


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for retry in ("RETRY", "REFUSED_RETRY"):
        monkeypatch.setattr(status_publisher, retry, Backoff(first=0.0, longest=0.0))
    monkeypatch.setattr(status_publisher, "PROGRESS_EVERY_SECONDS", 0.01)


def view(phase: str, progress: str = "1/2", saga: str = "saga-1") -> SagaView:
    return SagaView(
        id=saga,
        namespace="shop",
        name="order-1",
        definition="create-order",
        revision="r",
        phase=phase,
        progress=progress,
        start_time="2026-03-01T12:00:00.000Z",
    )


def publisher_on(recorder: Recorder) -> KubernetesStatusPublisher:
    return KubernetesStatusPublisher(recorder)  # type: ignore[arg-type]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 -- what is waited for is what the recorder was told
            await asyncio.sleep(0)


async def test_a_saga_that_ends_soon_costs_one_write() -> None:
    recorder = Recorder()
    publisher = publisher_on(recorder)
    for progress in ("0/2", "1/2", "2/2"):
        await publisher.publish(view("Running", progress))
    await publisher.publish(view("Succeeded", "2/2"))
    assert recorder.phases == ["Succeeded"]
    assert recorder.events == []


async def test_progress_is_coalesced_to_the_newest() -> None:
    recorder = Recorder()
    publisher = publisher_on(recorder)
    for number in range(50):
        await publisher.publish(view("Running", f"{number}/50"))
    await until(lambda: bool(recorder.statuses))
    assert [status["progress"] for status in recorder.statuses] == ["49/50"]


async def test_progress_that_came_during_a_write_is_shown_after_it() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    publisher = publisher_on(recorder)
    await publisher.publish(view("Running", "0/2"))
    await until(lambda: recorder.asked == 1)
    await publisher.publish(view("Running", "1/2"))
    recorder.gate.set()
    await until(lambda: len(recorder.statuses) == 2)
    assert [status["progress"] for status in recorder.statuses] == ["0/2", "1/2"]


async def test_a_late_progress_write_never_overtakes_the_end() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    publisher = publisher_on(recorder)
    await publisher.publish(view("Running"))
    await until(lambda: recorder.asked == 1)
    ending = asyncio.ensure_future(publisher.publish(view("Succeeded")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert recorder.asked == 1
    recorder.gate.set()
    await ending
    assert recorder.phases == ["Running", "Succeeded"]


async def test_the_end_is_written_until_the_api_server_takes_it() -> None:
    recorder = Recorder(UnavailableError("503"), UnavailableError("connection refused"), UnavailableError("429"))
    await publisher_on(recorder).publish(view("Succeeded"))
    assert recorder.phases == ["Succeeded"]
    assert recorder.asked == 4


@pytest.mark.parametrize("gone", [NotFoundError("no such Saga"), ConflictError("another one has its name")])
async def test_an_object_that_is_gone_or_another_needs_no_status(gone: Exception) -> None:
    recorder = Recorder(gone)
    await publisher_on(recorder).publish(view("Succeeded"))
    assert recorder.statuses == []
    assert recorder.asked == 1


async def test_a_status_that_is_refused_is_cut_down_to_its_essence() -> None:
    recorder = Recorder(RefusedError("status.step: too long", status=422, invalid_fields=("status.step",)))
    await publisher_on(recorder).publish(msgspec.structs.replace(view("Succeeded"), step="x" * 1000))
    assert recorder.phases == ["Succeeded"]
    assert "step" not in recorder.statuses[0]


async def test_a_status_that_is_refused_to_its_essence_does_not_hold_the_engine_up() -> None:
    recorder = Recorder(*[RefusedError("no", status=422)] * 3)
    await asyncio.wait_for(publisher_on(recorder).publish(view("Succeeded")), 60)
    assert recorder.statuses == []


async def test_a_status_that_is_refused_to_its_essence_still_tells_the_phase() -> None:
    recorder = Recorder(*[RefusedError("no", status=422)] * 2)
    await publisher_on(recorder).publish(view("Succeeded"), 3)
    assert recorder.statuses == [{"observedGeneration": 3, "phase": "Succeeded"}]


async def test_progress_that_is_refused_is_cut_down_as_well() -> None:
    recorder = Recorder(RefusedError("no", status=422))
    await publisher_on(recorder).publish(view("Running"))
    await until(lambda: recorder.phases == ["Running"])


async def test_a_right_that_is_given_later_is_used_then() -> None:
    recorder = Recorder(RefusedError("forbidden", status=403), RefusedError("forbidden", status=403))
    await publisher_on(recorder).publish(view("Succeeded"))
    assert recorder.phases == ["Succeeded"]


@pytest.mark.parametrize("phase", ["Compensated", "InterventionRequired"])
async def test_what_a_person_must_see_is_an_event_once(phase: str) -> None:
    recorder = Recorder()
    await publisher_on(recorder).publish(view(phase))
    await until(lambda: bool(recorder.events))
    (told,) = recorder.events
    assert told["reason"] == phase
    assert told["type"] == "Warning"
    assert told["metadata"]["name"].startswith("order-1.saga-1")


async def test_a_failed_progress_write_is_tried_again() -> None:
    recorder = Recorder(UnavailableError("503"))
    await publisher_on(recorder).publish(view("Running"))
    await until(lambda: recorder.phases == ["Running"])


async def test_an_older_resting_view_is_never_written_after_a_newer_one() -> None:
    recorder = Recorder(UnavailableError("503", retry_after=0.05), UnavailableError("503"))
    publisher = publisher_on(recorder)
    parked = asyncio.create_task(publisher.publish(view("InterventionRequired")))
    await until(lambda: recorder.asked == 1)
    await publisher.publish(view("Succeeded"))
    await parked
    await asyncio.sleep(0.1)
    assert recorder.phases == ["Succeeded"]


async def test_the_end_waits_for_an_older_write_that_is_under_way() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    publisher = publisher_on(recorder)
    parked = asyncio.create_task(publisher.publish(view("InterventionRequired")))
    await until(lambda: recorder.asked == 1)
    ended = asyncio.create_task(publisher.publish(view("Succeeded")))
    await parked
    assert recorder.asked == 1
    recorder.gate.set()
    await ended
    assert recorder.phases == ["InterventionRequired", "Succeeded"]


async def test_a_parked_saga_that_goes_on_is_not_shown_as_parked_any_more() -> None:
    recorder = Recorder(UnavailableError("503", retry_after=0.05))
    publisher = publisher_on(recorder)
    parked = asyncio.create_task(publisher.publish(view("InterventionRequired")))
    await until(lambda: recorder.asked == 1)
    await publisher.publish(view("Running"))
    await parked
    await until(lambda: recorder.phases == ["Running"])
    await asyncio.sleep(0.1)
    assert recorder.phases == ["Running"]


async def test_a_view_that_is_published_twice_is_told_to_be_shown_only_once_it_is() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    publisher = publisher_on(recorder)
    first = asyncio.create_task(publisher.publish(view("Succeeded")))
    second = asyncio.create_task(publisher.publish(view("Succeeded")))
    await until(lambda: recorder.asked == 1)
    assert not first.done()
    assert not second.done()
    recorder.gate.set()
    await asyncio.gather(first, second)
    assert recorder.phases == ["Succeeded"]


@pytest.mark.parametrize("phase", ["Running", "InterventionRequired"])
async def test_what_is_forgotten_is_not_written_later(phase: str) -> None:
    recorder = Recorder(UnavailableError("503", retry_after=0.05))
    publisher = publisher_on(recorder)
    publishing = asyncio.create_task(publisher.publish(view(phase)))
    await until(lambda: recorder.asked == 1)
    publisher.forget(["saga-1", "another"])
    await publishing
    await asyncio.sleep(0.1)
    assert recorder.statuses == []


async def test_a_saga_that_comes_back_is_written_after_the_request_that_was_under_way() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    publisher = publisher_on(recorder)
    await publisher.publish(view("Running"))
    await until(lambda: recorder.asked == 1)
    publisher.forget(["saga-1"])
    ended = asyncio.create_task(publisher.publish(view("Succeeded")))
    await asyncio.sleep(0.05)
    assert recorder.asked == 1
    recorder.gate.set()
    await ended
    assert recorder.phases == ["Running", "Succeeded"]


async def test_nothing_is_written_while_it_is_not_surely_permitted() -> None:
    recorder, allowed = Recorder(), asyncio.Event()

    async def permitted() -> None:
        await allowed.wait()

    publisher = publisher_on(recorder)
    await publisher.publish(view("Running"), permitted=permitted)
    await asyncio.sleep(0.05)
    assert recorder.asked == 0
    allowed.set()
    await until(lambda: recorder.phases == ["Running"])


async def test_nothing_is_kept_of_a_saga_that_is_shown_or_forgotten() -> None:
    publisher = publisher_on(Recorder())
    await publisher.publish(view("Succeeded", saga="shown"))
    await publisher.publish(view("Running", saga="forgotten"))
    publisher.forget(["forgotten"])
    await until(lambda: not publisher._due)
