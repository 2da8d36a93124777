"""The life of an engine process: join, renew, lose, join again, leave.

Everything that belongs to one lease is in a `Tenure`; this module outlasts it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from time import monotonic

import structlog

from kompensa.engine.declarations import Declarations
from kompensa.engine.errors import NotReadyError
from kompensa.engine.metrics import EPOCH, FENCED, SHARDS, CommitMetrics
from kompensa.engine.service import SagaService
from kompensa.engine.settings import Settings
from kompensa.engine.status_publisher import StatusPublisher
from kompensa.engine.tenure import EngineParts, Tenure
from kompensa.engine.upkeep import Upkeep
from kompensa.journal.errors import JournalError, StaleLeaseError
from kompensa.journal.port import Journal
from kompensa.journal.records import Grant, Lease
from kompensa.model.saga import Saga
from kompensa.transport.port import Transport

_log = structlog.get_logger(__name__)
_RETRY_SECONDS = 0.5
# With so many renewals within a lease's life, two may fail in a row.
_RENEWALS_PER_LEASE = 3


class Engine:
    """One engine process."""

    def __init__(
        self,
        *,
        journal: Journal,
        transport: Transport,
        publisher: StatusPublisher,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        on_end: Callable[[Saga], None] | None = None,
    ) -> None:
        """`on_end` is called for each saga that has ended, once it is durable."""
        self._journal = journal
        self._transport = transport
        self._settings = settings
        self._observer = CommitMetrics()
        self._trouble = "starting"
        self._unrenewed: str | None = None
        self._stopping = False
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.tenure: Tenure | None = None
        self.fallen = asyncio.Event()
        """Set by a fault in the engine itself. Only a new process can go on."""
        self.declarations = Declarations(journal.catalogue)
        self._parts = EngineParts(
            journal=journal,
            transport=transport,
            publisher=publisher,
            declarations=self.declarations,
            settings=settings,
            clock=clock,
            observer=self._observer,
            on_end=on_end,
        )
        self.sagas = SagaService(
            self,
            journal,
            self.declarations,
            max_in_flight=settings.max_in_flight,
            max_input_bytes=settings.max_input_bytes,
            clock=clock,
        )

    async def start(self) -> None:
        """Begin, in the background. While the journal is down the engine waits for it, and `trouble` says so."""
        life = asyncio.create_task(self._live(), name="engine")
        life.add_done_callback(self._ended)
        self._tasks.append(life)

    def _ended(self, life: asyncio.Task[None]) -> None:
        error = None if life.cancelled() else life.exception()
        if error is not None:
            _log.critical("a fault in the engine; restart the process", exc_info=error)
            self.fallen.set()

    async def stop(self) -> None:
        """Leave in good order: write every decision, and give the shards back for another engine."""
        self._stopping = True
        if self.tenure is not None:
            await self.tenure.drain(self._settings.drain)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.tenure is not None:  # it may have been lost meanwhile, and then there is no other
            self.tenure.end(StaleLeaseError("the engine has stopped"))
            await self._leave(self.tenure.held.lease)
        await self._transport.close()
        await self._journal.close()

    @property
    def trouble(self) -> str | None:
        """Why the engine cannot take sagas now, or None."""
        if self._stopping:
            return "stopping"
        if self.fallen.is_set():
            return "a fault in the engine; see its log"
        if self.tenure is None:
            return self._trouble
        if not self.tenure.held.shards:
            return "owns no shard yet"
        return self._unrenewed or self._observer.trouble

    def ready(self) -> Tenure:
        """The present tenure.

        Raises
        ------
        NotReadyError
            The engine cannot take sagas now.
        """
        if self.tenure is None or self._stopping or self.fallen.is_set():
            raise NotReadyError(f"this engine cannot take sagas now: {self.trouble}")
        return self.tenure

    async def _live(self) -> None:
        await self._open()
        self._journal.watch("shards", self._wake.set)
        self._journal.watch("signals", self._signalled)
        upkeep = Upkeep(self._journal, self.declarations, tenure=lambda: self.tenure)
        self._journal.watch("catalogue", upkeep.reload)
        self._tasks.append(asyncio.create_task(upkeep.run(), name="upkeep"))
        previous: Lease | None = None
        while not self._stopping:
            asked = monotonic()
            grant = await self._joined(previous)
            previous = grant.lease
            await self._hold(Tenure(grant, asked + self._settings.lease_ttl, self._parts), grant)

    async def _open(self) -> None:
        """Connect, migrate and read the declarations, however long that takes."""
        while True:
            try:
                await self._journal.open()
                await self.declarations.load()
            except JournalError as error:
                trouble = f"waiting for the journal: {error}"
                if trouble != self._trouble:
                    _log.warning("waiting for the journal", error=str(error))
                self._trouble = trouble
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _joined(self, previous: Lease | None) -> Grant:
        while True:
            try:
                return await self._journal.leases.join(
                    self._settings.engine_name, ttl=self._settings.lease_ttl, previous=previous
                )
            except JournalError as error:
                self._trouble = f"cannot join: {error}"
                _log.warning("cannot join yet", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _hold(self, tenure: Tenure, grant: Grant) -> None:
        """Keep the lease until it is lost, then drop everything that belongs to it."""
        self.tenure = tenure
        self._unrenewed = self._observer.trouble = None
        _note(grant)
        tenure.begin(grant.gained)
        try:
            await self._renew_until_lost(tenure)
        except StaleLeaseError as error:
            FENCED.inc()
            _log.warning("the lease is lost; dropping all sagas and joining again", error=str(error))
            self._trouble = "the lease is lost"
            self.tenure = None
            EPOCH.set(0)
            tenure.end(error)

    async def _renew_until_lost(self, tenure: Tenure) -> None:
        ttl = self._settings.lease_ttl
        while True:
            await self._pause(tenure, ttl / _RENEWALS_PER_LEASE)
            asked = monotonic()
            try:
                grant = await self._journal.leases.renew(tenure.held.lease, ttl=ttl)
                tenure.renew(grant, asked + ttl)
                if leaving := tenure.part_with_surplus():
                    await self._journal.leases.release(tenure.held.lease, leaving)
            except StaleLeaseError:
                raise
            except JournalError as error:
                self._unrenewed = f"the lease could not be renewed: {error}"
                _log.warning("the lease could not be renewed", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._unrenewed = None
                _note(grant)

    async def _pause(self, tenure: Tenure, seconds: float) -> None:
        """Wait until it is time to renew, shards were given back, or the lease was found to be lost."""
        waits = [asyncio.create_task(self._wake.wait()), asyncio.create_task(tenure.held.lost.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._wake.clear()

    def _signalled(self) -> None:
        if self.tenure is not None:
            self.tenure.signals.wake()

    async def _leave(self, lease: Lease) -> None:
        try:
            await self._journal.leases.leave(lease)
        except JournalError as error:
            _log.warning("the lease could not be given back; it will expire", error=str(error))


def _note(grant: Grant) -> None:
    EPOCH.set(grant.lease.epoch)
    SHARDS.set(len(grant.shards))
    if grant.gained:
        _log.info(
            "shards taken",
            gained=len(grant.gained),
            owned=len(grant.shards),
            epoch=grant.lease.epoch,
            fenced=list(grant.fenced),
        )
