"""The rules that all declarative kinds share: refused requests, rejected specs, objects that are being deleted."""

import pytest

from kompensa.cluster.kube import Kube, KubeError, RefusedError, UnavailableError
from kompensa.cluster.resources import PARTICIPANTS
from kompensa.handlers.kind import Kind
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError, WorkQueue
from kompensa.model.parsing import SpecError
from tests.support.fake_kube import FakeKube, metadata_of, refusing

FORBIDDEN = RefusedError("participants/status is forbidden", status=403)


class RecordingKind(Kind[int]):
    """Reads `size` from a spec, and fails as a test says."""

    resource = PARTICIPANTS

    def __init__(self, kube: Kube, error: KubeError | None = None) -> None:
        super().__init__(kube)
        self.error = error
        self.reconciled: list[int] = []
        self.finalized = False

    def read_spec(self, watched: WatchedObject) -> int:
        if "size" not in watched.spec_as_written:
            raise SpecError("spec.size: is missing")
        return int(watched.spec_as_written["size"])

    async def reconcile(self, watched: WatchedObject, spec: int, attempt: int) -> float:
        if self.error is not None:
            raise self.error
        self.reconciled.append(spec)
        return 300.0

    async def finalize(self, watched: WatchedObject) -> bool:
        return self.finalized

    async def forget(self, watched: WatchedObject) -> None:
        raise AssertionError


def watched(
    namespace: str = "shop", *, spec: dict[str, int] | None = None, being_deleted: bool = False
) -> WatchedObject:
    metadata = metadata_of("stub", namespace=namespace)
    if being_deleted:
        metadata["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    return WatchedObject({"metadata": metadata, "spec": {"size": 3} if spec is None else spec})


def kind(kube: FakeKube, error: KubeError | None = None) -> RecordingKind:
    return RecordingKind(kube, error)  # type: ignore[arg-type]


async def attempt(failing: RecordingKind, number: int) -> RetryLaterError:
    with pytest.raises(RetryLaterError) as raised:
        await failing._work(watched(), number)
    return raised.value


async def test_a_refusal_is_shown_on_the_object_and_repeated_after_waits_that_grow_to_a_bound() -> None:
    kube = FakeKube()
    failing = kind(kube, FORBIDDEN)
    first, later, last = [(await attempt(failing, number)).after for number in (0, 3, 1000)]
    assert set(kube.reasons()) == {"RequestRefused"}
    assert first < 10 < later <= last <= 90


@pytest.mark.parametrize("error", [FORBIDDEN, UnavailableError("the API server is away")])
async def test_the_operator_goes_on_if_a_status_cannot_be_written(error: KubeError) -> None:
    await attempt(kind(FakeKube(refuses=refusing(error, "set_status")), FORBIDDEN), 0)


async def test_a_handler_gets_the_spec_that_was_read() -> None:
    reading = kind(FakeKube())
    await reading._work(watched(), 1)
    assert reading.reconciled == [3]


async def test_a_spec_that_cannot_be_read_is_reported_on_the_object_with_the_field() -> None:
    kube = FakeKube()
    reading = kind(kube)
    assert await reading._work(watched(spec={}), 1) is not None
    assert reading.reconciled == []
    assert kube.reasons("Stalled") == ["SpecInvalid"]
    assert "spec.size" in kube.statuses[0]["conditions"][0]["message"]


@pytest.mark.parametrize("spec", [{}, {"size": 3}])
async def test_an_object_that_is_finalized_is_not_reconciled_whatever_its_spec_says(spec: dict[str, int]) -> None:
    kube = FakeKube()
    finalizing = kind(kube)
    finalizing.finalized = True
    assert await finalizing._work(watched(spec=spec, being_deleted=True), 1) is None
    assert (finalizing.reconciled, kube.statuses) == ([], [])


async def test_an_object_without_a_finalizer_is_reconciled_until_it_is_gone() -> None:
    reading = kind(FakeKube())
    await reading._work(watched(being_deleted=True), 1)
    assert reading.reconciled == [3]


async def test_the_objects_of_one_namespace_can_be_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = kind(FakeKube())
    woken: list[str] = []
    for namespace in ("shop", "crm"):
        await reading.offer(watched(namespace))
    monkeypatch.setattr(WorkQueue, "wake", lambda _queue, key: woken.append(key))
    reading.wake("shop")
    assert woken == ["shop/stub"]
