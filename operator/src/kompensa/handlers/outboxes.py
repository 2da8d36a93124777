"""Outbox objects: publication, slot, topics and connector are kept as the object says, and taken down with it.

The one kind with a finalizer. A replication slot that nobody reads keeps every later change of its database on disk
until that is full, and only while the object lives do we know its database and credentials; so the slot goes first
and the object after it. Deletion must still end: where the credentials are gone, or the database does not answer for
`GIVE_UP` seconds, the object goes, and an Event names what was left behind.
"""

import time
from dataclasses import dataclass
from datetime import datetime

from kompensa.cluster.conditions import ready, stalled, working
from kompensa.cluster.events import event
from kompensa.cluster.kube import ConflictError, Kube, NotFoundError
from kompensa.cluster.resources import EVENTS, OUTBOXES
from kompensa.cluster.secrets import CaptureSecret, SecretError, read_secret
from kompensa.handlers.kind import Kind
from kompensa.handlers.seen import Seen
from kompensa.handlers.workqueue import RetryLaterError
from kompensa_cdc.capture import (
    CaptureError,
    Credentials,
    Database,
    Directory,
    Inline,
    InvalidOutboxError,
    Outbox,
    OutboxStatus,
    database_from_secret,
    outbox_from_object,
    reconcile_outbox,
    remembered,
    remove_outbox,
)

FINALIZER = "kompensa.dev/capture"
REPEAT = 20.0
REPAIR_RETRY = 5.0
GIVE_UP = 300.0


@dataclass(frozen=True, kw_only=True)
class CaptureSite:
    """Where outboxes are captured: Connect, Kafka, and how Connect learns the logins."""

    connect_url: str
    bootstrap: str
    secret: CaptureSecret | None
    folder: str


class Outboxes(Kind):
    """Keeps capture as the Outbox objects say."""

    resource = OUTBOXES

    def __init__(self, kube: Kube, site: CaptureSite) -> None:
        super().__init__(kube)
        self._site = site
        self._last: dict[str, OutboxStatus] = {}

    async def reconcile(self, seen: Seen, attempt: int) -> float | None:
        if seen.being_deleted:
            return await self._take_down(seen)
        try:
            outbox = outbox_from_object(seen.namespace, seen.name, seen.spec)
            await self._hold(seen)
            owner, capture = await self._logins(seen)
            credentials = await self._credentials(seen, capture)
        except InvalidOutboxError as error:
            await self.say(seen, seen.fields, stalled("SpecInvalid", str(error)))
            return REPEAT
        except SecretError as error:
            await self.say(seen, seen.fields, working("SecretNotFound", str(error)))
            return REPAIR_RETRY
        status = await self._capture(seen, outbox, owner, capture, credentials)
        said = ready(status.reason, status.message) if status.ready else working(status.reason, status.message)
        await self.say(seen, status.as_status(), said)
        return REPEAT if status.ready else REPAIR_RETRY

    async def forget(self, seen: Seen) -> None:
        self._last.pop(seen.uid, None)

    async def _capture(
        self, seen: Seen, outbox: Outbox, owner: Database, capture: Database, credentials: Credentials
    ) -> OutboxStatus:
        status = await reconcile_outbox(
            outbox,
            owner=owner,
            capture=capture,
            credentials=credentials,
            connect_url=self._site.connect_url,
            bootstrap=self._site.bootstrap,
            previous=self._last.get(seen.uid) or remembered(outbox, seen.status),
        )
        self._last[seen.uid] = status
        return status

    async def _logins(self, seen: Seen) -> tuple[Database, Database]:
        logins = []
        for field in ("databaseSecretRef", "captureSecretRef"):
            name = seen.spec[field]["name"]
            logins.append(database_from_secret(name, await read_secret(self._kube, seen.namespace, name)))
        return logins[0], logins[1]

    async def _credentials(self, seen: Seen, capture: Database) -> Credentials:
        if self._site.secret is None:
            return Inline()
        key = f"{seen.namespace}.{seen.name}"
        await self._site.secret.put(key, username=capture.username, password=capture.password)
        return Directory(path=self._site.folder, key=key)

    async def _hold(self, seen: Seen) -> None:
        """Set the finalizer before there is anything that a deletion would have to take down."""
        finalizers = seen.raw["metadata"].get("finalizers") or []
        if FINALIZER not in finalizers:
            await self._set_finalizers(seen, [*finalizers, FINALIZER])

    async def _take_down(self, seen: Seen) -> float | None:
        finalizers = seen.raw["metadata"].get("finalizers") or []
        if FINALIZER not in finalizers:
            return None
        left = await self._removed(seen)
        if left:
            await self._tell_what_is_left(seen, left)
        if self._site.secret is not None:
            await self._site.secret.remove(f"{seen.namespace}.{seen.name}")
        await self._set_finalizers(seen, [name for name in finalizers if name != FINALIZER])
        return None

    async def _removed(self, seen: Seen) -> str:
        """Take capture down; the text says what had to be left behind, and is empty when nothing was."""
        try:
            outbox = outbox_from_object(seen.namespace, seen.name, seen.spec)
        except InvalidOutboxError:
            return ""
        try:
            owner, capture = await self._logins(seen)
            await remove_outbox(outbox, owner=owner, capture=capture, connect_url=self._site.connect_url)
        except (SecretError, InvalidOutboxError) as error:
            return left_behind(outbox, str(error))
        except CaptureError as error:
            if _deleting_for(seen) < GIVE_UP:
                await self.say(seen, {**seen.fields, "lastError": error.message}, working(error.reason, error.message))
                raise RetryLaterError(error.message, after=REPAIR_RETRY) from error
            return left_behind(outbox, error.message)
        return ""

    async def _tell_what_is_left(self, seen: Seen, message: str) -> None:
        warning = event(
            OUTBOXES,
            namespace=seen.namespace,
            name=seen.name,
            uid=seen.uid,
            reason="CaptureLeftBehind",
            message=message,
            kind="Warning",
            component="kompensa-operator",
        )
        try:
            await self._kube.create(EVENTS, seen.namespace, warning)
        except ConflictError:
            return  # said already, before a later call of this deletion failed

    async def _set_finalizers(self, seen: Seen, finalizers: list[str]) -> None:
        """A compare-and-set: somebody else's finalizer must not be lost."""
        metadata = seen.raw["metadata"]
        body = {"metadata": {"finalizers": finalizers, "resourceVersion": metadata["resourceVersion"]}}
        try:
            patched = await self._kube.merge(OUTBOXES, seen.namespace, seen.name, body)
        except NotFoundError:
            return
        except ConflictError as error:
            fresh = await self._kube.get(OUTBOXES, seen.namespace, seen.name)
            seen.raw.update(fresh)
            raise RetryLaterError(f"Outbox {seen.key} was changed meanwhile") from error
        seen.raw["metadata"] = patched["metadata"]


def left_behind(outbox: Outbox, why: str) -> str:
    """What a person has to remove by hand, and how."""
    return (
        f"capture of {outbox.table} could not be taken down ({why}). Left behind may be: connector {outbox.connector} "
        f"at Kafka Connect; in the database, slot and publication {outbox.slot}. An unread slot keeps WAL until the "
        f"disk is full: run SELECT pg_drop_replication_slot('{outbox.slot}')"
    )


def _deleting_for(seen: Seen) -> float:
    asked = str(seen.raw["metadata"]["deletionTimestamp"]).replace("Z", "+00:00")
    return time.time() - datetime.fromisoformat(asked).timestamp()
