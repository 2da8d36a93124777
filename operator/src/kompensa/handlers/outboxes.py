"""Outbox objects: publication, slot, topics and connector are kept as the object says, and taken down with it.

The one kind with a finalizer. A replication slot without a reader keeps every later change of its database on disk
until that is full. Database and credentials are known only while the object lives; so the slot goes first and the
object after it. An object has the finalizer from when its database and Connect have first been found right,
just before anything is made: until then there is nothing that its deletion could wait for.

Deletion must still end: if no login is known any more, or the database does not answer for `GIVE_UP` seconds, the
object goes, and log and Event name what was left behind. The Event is not to be relied on: a namespace that is being
deleted takes no new objects, and its Secrets go before its Outboxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from kompensa.cluster.conditions import ready, stalled, working
from kompensa.cluster.events import event
from kompensa.cluster.kube import ConflictError, Kube, KubeError, NotFoundError, RefusedError
from kompensa.cluster.resources import EVENTS, OUTBOXES
from kompensa.cluster.secrets import CaptureSecret, SecretError, read_secret
from kompensa.handlers.kind import Kind
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError
from kompensa_cdc.capture import (
    CaptureError,
    Credentials,
    Database,
    Directory,
    Inline,
    InvalidOutboxError,
    Leftover,
    Outbox,
    OutboxStatus,
    captured_database,
    check_outbox,
    database_from_secret,
    outbox_from_object,
    reconcile_outbox,
    remembered,
    remove_outbox,
)

_log = structlog.get_logger(__name__)

FINALIZER = "kompensa.dev/capture"
REPEAT = 20.0
REPAIR_RETRY = 5.0
# Reasons of an Outbox that is at work as it should be, or begins to be; any other is an Event as well.
UNREMARKABLE = ("Capturing", "CatchingUp", "ConnectorStarting", "Pending")
GIVE_UP = 300.0


@dataclass(frozen=True, kw_only=True)
class CaptureSite:
    """The place of capture: Connect, Kafka, and the Secret that gives Connect the logins."""

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
        self._captured: dict[str, Database] = {}

    async def reconcile(self, seen: WatchedObject, attempt: int) -> float | None:
        if seen.being_deleted:
            await self._take_down(seen)
            return None
        try:
            outbox = outbox_from_object(seen.namespace, seen.name, seen.spec)
            owner = await self._login(seen, "databaseSecretRef")
            capture = await self._login(seen, "captureSecretRef")
            status = await self._capture(seen, outbox, owner, capture)
        except InvalidOutboxError as error:
            await self.say(seen, seen.fields, stalled("SpecInvalid", str(error)))
            return REPEAT
        except SecretError as error:
            await self.say(seen, seen.fields, working("SecretNotFound", str(error)))
            return REPAIR_RETRY
        said = ready(status.reason, status.message) if status.ready else working(status.reason, status.message)
        await self.say(seen, status.as_status(), said)
        return REPEAT if status.ready and status.reason != "CatchingUp" else REPAIR_RETRY

    async def forget(self, seen: WatchedObject) -> None:
        self._last.pop(seen.uid, None)
        self._captured.pop(seen.uid, None)

    async def _capture(self, seen: WatchedObject, outbox: Outbox, owner: Database, capture: Database) -> OutboxStatus:
        known = self._last.get(seen.uid) or remembered(outbox, seen.status)
        if FINALIZER not in finalizers_of(seen):
            try:
                await check_outbox(outbox, owner=owner, capture=capture, connect_url=self._site.connect_url)
            except CaptureError as error:
                return known.with_error(error)
            await self._set_finalizers(seen, [*finalizers_of(seen), FINALIZER])
        status = await reconcile_outbox(
            outbox,
            owner=owner,
            capture=capture,
            credentials=await self._credentials(seen, capture),
            connect_url=self._site.connect_url,
            bootstrap=self._site.bootstrap,
            previous=known,
        )
        self._last[seen.uid] = status
        if status.reason not in (known.reason, *UNREMARKABLE):
            await self._warn(seen, reason=status.reason, message=status.message)
        if status.ready:
            self._captured[seen.uid] = capture
        return status

    async def _login(self, seen: WatchedObject, field: str) -> Database:
        reference = seen.spec[field]
        name = reference["name"]
        return database_from_secret(name, await read_secret(self._kube, seen.namespace, name), reference.get("keys"))

    async def _credentials(self, seen: WatchedObject, capture: Database) -> Credentials:
        if self._site.secret is None:
            return Inline()
        await self._site.secret.put(login_key(seen), username=capture.username, password=capture.password)
        return Directory(path=self._site.folder, key=login_key(seen))

    async def _take_down(self, seen: WatchedObject) -> None:
        if FINALIZER not in finalizers_of(seen):
            return
        left = await self._removed(seen)
        left += await self._login_forgotten(seen)
        if left:
            message = f"capture of {seen.spec.get('table')} leaves behind: {'; '.join(left)}"
            _log.warning("capture left behind", outbox=seen.key, what=message)
            await self._warn(seen, reason="CaptureLeftBehind", message=message)
        await self._set_finalizers(seen, [name for name in finalizers_of(seen) if name != FINALIZER])

    async def _removed(self, seen: WatchedObject) -> list[str]:
        """Take capture down; what had to be left behind, a phrase for each thing."""
        try:
            outbox = outbox_from_object(seen.namespace, seen.name, seen.spec)
        except InvalidOutboxError:
            return []
        owner, owner_gone = await self._login_if_there(seen, "databaseSecretRef")
        capture, capture_gone = await self._login_if_there(seen, "captureSecretRef")
        try:
            capture = capture or await self._login_in_use(seen, outbox)
        except CaptureError as error:
            # Only the connector still says where the slot is: the slot waits for Connect, too.
            left = [Leftover(kind="connector", name=outbox.connector, error=error)]
            left.append(Leftover(kind="slot", name=outbox.slot, error=None))
        else:
            left = await remove_outbox(outbox, owner=owner, capture=capture, connect_url=self._site.connect_url)
        await self._try_again_in_time(seen, left)
        left.sort(key=lambda each: each.kind != "slot")  # an Event's message is cut off, and the slot matters most
        return [left_behind(each, capture_gone if each.kind == "slot" else owner_gone) for each in left]

    async def _login_if_there(self, seen: WatchedObject, field: str) -> tuple[Database | None, str]:
        """The login, or why there is none."""
        try:
            return await self._login(seen, field), ""
        except (SecretError, InvalidOutboxError, RefusedError) as error:
            return None, str(error)

    async def _login_in_use(self, seen: WatchedObject, outbox: Outbox) -> Database | None:
        """The capture login as we or Connect still know it; None if neither does.

        Raises
        ------
        CaptureError
            If Connect does not answer.
        """
        if seen.uid not in self._captured:
            login = await self._site.secret.login(login_key(seen)) if self._site.secret is not None else None
            found = await captured_database(outbox, connect_url=self._site.connect_url, login=login)
            if found is None:
                return None
            self._captured[seen.uid] = found  # removing the connector takes this knowledge away
        return self._captured[seen.uid]

    async def _try_again_in_time(self, seen: WatchedObject, left: Sequence[Leftover]) -> None:
        """Say on the object what deletion waits for and how long it will, unless that is over or would not help."""
        refused = next((each.error for each in left if each.error is not None), None)
        until = gives_up_at(seen)
        if refused is None or datetime.now(UTC) >= until:
            return
        message = f"{refused.message}; deletion waits for it and gives up at {until:%H:%M} UTC"
        await self.say(seen, {**seen.fields, "lastError": refused.message}, working(refused.reason, message))
        raise RetryLaterError(message, after=REPAIR_RETRY)

    async def _login_forgotten(self, seen: WatchedObject) -> list[str]:
        """Take the login away from Connect; a phrase when we may not."""
        if self._site.secret is None:
            return []
        try:
            await self._site.secret.remove(login_key(seen))
        except RefusedError as error:
            return [f"the capture login in the Secret that Kafka Connect mounts ({error})"]
        return []

    async def _warn(self, seen: WatchedObject, *, reason: str, message: str) -> None:
        """Write an Event, once for each reason."""
        warning = event(
            OUTBOXES,
            namespace=seen.namespace,
            name=seen.name,
            uid=seen.uid,
            reason=reason,
            message=message,
            kind="Warning",
            component="kompensa-operator",
        )
        try:
            await self._kube.create(EVENTS, seen.namespace, warning)
        except ConflictError:
            return  # written already: by an earlier pass, or before a later call of this deletion failed
        except KubeError as error:
            _log.warning("no Event could be written", outbox=seen.key, reason=reason, why=str(error))

    async def _set_finalizers(self, seen: WatchedObject, finalizers: list[str]) -> None:
        """A compare-and-set: another controller's finalizer must not be lost."""
        metadata = seen.raw["metadata"]
        body = {"metadata": {"finalizers": finalizers, "resourceVersion": metadata["resourceVersion"]}}
        try:
            patched = await self._kube.merge(OUTBOXES, seen.namespace, seen.name, body)
        except NotFoundError as error:
            if FINALIZER not in finalizers:
                return
            raise RetryLaterError(f"Outbox {seen.key} was deleted meanwhile") from error
        except ConflictError as error:
            fresh = await self._kube.get(OUTBOXES, seen.namespace, seen.name)
            seen.raw.update(fresh)
            raise RetryLaterError(f"Outbox {seen.key} was changed meanwhile") from error
        seen.raw["metadata"] = patched["metadata"]


def login_key(seen: WatchedObject) -> str:
    """Under what the capture login is kept for Connect."""
    return f"{seen.namespace}.{seen.name}"


def finalizers_of(seen: WatchedObject) -> list[str]:
    return list(seen.raw["metadata"].get("finalizers") or [])


def left_behind(left: Leftover, no_login: str) -> str:
    """For a person: the thing to remove by hand, why, and how."""
    why = left.error.message if left.error is not None else no_login
    how = {
        "connector": "DELETE it at Kafka Connect's REST API",
        "slot": f"unread, it keeps WAL until the disk is full: run SELECT pg_drop_replication_slot('{left.name}')",
        "publication": f"DROP PUBLICATION {left.name}",
    }
    return f"{left.kind} {left.name} ({why}), {how[left.kind]}"


def gives_up_at(seen: WatchedObject) -> datetime:
    """Until when a deletion waits for database and Connect."""
    asked = str(seen.raw["metadata"]["deletionTimestamp"]).replace("Z", "+00:00")
    return datetime.fromisoformat(asked).astimezone(UTC) + timedelta(seconds=GIVE_UP)
