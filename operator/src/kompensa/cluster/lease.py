"""One active operator at a time, by a Lease in coordination.k8s.io.

The rules are client-go's. A lease counts as abandoned if it has not *changed* for its duration by our own monotonic
clock, so the clocks of two nodes never have to agree. Every take and every renewal is a compare-and-set on
resourceVersion. A holder that could not renew in time stops before another may take over. It releases the lease at
exit, so that a successor does not have to wait. This keeps two operators from doing the same work;
correctness does not hang on it, since everything an operator does is idempotent.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from kompensa.cluster.kube import ConflictError, Kube, KubeError, NotFoundError
from kompensa.cluster.resources import LEASES, Object

_log = structlog.get_logger(__name__)

DURATION_SECONDS = 15.0
RENEW_EVERY_SECONDS = 3.0
# A holder gives up well before anyone else may take over.
RENEW_DEADLINE_SECONDS = DURATION_SECONDS * 2 / 3


@dataclass(frozen=True, slots=True)
class Sighting:
    """The lease as last seen: when this version of it was first noticed, by our monotonic clock."""

    version: str
    since: float


def is_free(lease: Object, me: str, sighting: Sighting, now: float) -> bool:
    """May `me` take this lease: it is mine, it is free, or it has not changed for its duration."""
    spec = lease.get("spec") or {}
    holder = spec.get("holderIdentity")
    if not holder or holder == me:
        return True
    duration = float(spec.get("leaseDurationSeconds") or DURATION_SECONDS)
    return now - sighting.since > duration


def taken(lease: Object, me: str, at: datetime) -> Object:
    """The lease as `me` would write it; its metadata (resourceVersion included) is kept."""
    spec = dict(lease.get("spec") or {})
    mine_already = spec.get("holderIdentity") == me
    spec |= {
        "holderIdentity": me,
        "leaseDurationSeconds": int(DURATION_SECONDS),
        "renewTime": _micro_time(at),
        "acquireTime": spec.get("acquireTime") if mine_already else _micro_time(at),
        "leaseTransitions": int(spec.get("leaseTransitions") or 0) + (0 if mine_already else 1),
    }
    return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": lease["metadata"], "spec": spec}


class Lease:
    """The lease `name`, as one candidate sees it; `renewed_at` is monotonic, None while another candidate holds it."""

    def __init__(self, kube: Kube, *, namespace: str, name: str, identity: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._sighting = Sighting("", 0.0)
        self.renewed_at: float | None = None
        self.lost = asyncio.Event()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[asyncio.Event]:
        """Wait until the lease is ours, keep it renewed, release it at the end; the event is set when it is lost."""
        await self._acquire()
        renewal = asyncio.create_task(self._renew(), name="lease renewal")
        try:
            yield self.lost
        finally:
            renewal.cancel()
            with suppress(asyncio.CancelledError):
                await renewal
            await self._release()

    async def _acquire(self) -> None:
        waiting = False
        while not await self._attempt():
            if not waiting:
                _log.info("standing by: another operator holds the lease", lease=f"{self._namespace}/{self._name}")
                waiting = True
            await asyncio.sleep(RENEW_EVERY_SECONDS)
        _log.info("the lease is ours", lease=f"{self._namespace}/{self._name}", identity=self._identity)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_SECONDS)
            await self._attempt()
            if self.renewed_at is None or time.monotonic() - self.renewed_at > RENEW_DEADLINE_SECONDS:
                _log.error("the lease was lost; this operator stops", lease=f"{self._namespace}/{self._name}")
                self.lost.set()
                return

    async def _attempt(self) -> bool:
        """Take or renew; False if another candidate holds it or the API server does not answer."""
        started = time.monotonic()
        try:
            held = await self._take(started)
        except ConflictError:
            return False
        except KubeError as error:
            _log.warning("the lease could not be renewed, trying again", error=str(error))
            return False
        self.renewed_at = started if held else None
        return held

    async def _take(self, now: float) -> bool:
        try:
            lease = await self._kube.get(LEASES, self._namespace, self._name)
        except NotFoundError:
            fresh = {"metadata": {"name": self._name, "namespace": self._namespace}}
            await self._kube.create(LEASES, self._namespace, taken(fresh, self._identity, datetime.now(UTC)))
            return True
        version = lease["metadata"]["resourceVersion"]
        if version != self._sighting.version:
            self._sighting = Sighting(version, now)
        if not is_free(lease, self._identity, self._sighting, now):
            return False
        mine = taken(lease, self._identity, datetime.now(UTC))
        await self._kube.replace(LEASES, self._namespace, self._name, mine)
        return True

    async def _release(self) -> None:
        with suppress(KubeError):
            lease = await self._kube.get(LEASES, self._namespace, self._name)
            if lease.get("spec", {}).get("holderIdentity") == self._identity:
                lease["spec"]["holderIdentity"] = ""
                await self._kube.replace(LEASES, self._namespace, self._name, lease)


def _micro_time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
