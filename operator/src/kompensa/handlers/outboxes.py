"""Outbox objects: publication, slot, topics and connector are kept as the object says, and taken down with it.

The one kind with a finalizer. A replication slot without a reader keeps every later change of its database on disk
until that is full. Database and credentials are known only while the object lives; so the slot goes first and the
object after it. An object has the finalizer from when its database and Connect have first been found right,
just before anything is made: until then there is nothing that its deletion could wait for.

Deletion must still end: if no login is known any more, or the database does not answer for `GIVE_UP_SECONDS`, the
object goes, and log and Event name what was left behind. The Event is not to be relied on: a namespace that is being
deleted takes no new objects, and its Secrets go before its Outboxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from kompensa.cluster.conditions import ready, stalled, working
from kompensa.cluster.events import event
from kompensa.cluster.kube import ConflictError, Kube, KubeError, NotFoundError, RefusedError
from kompensa.cluster.resources import EVENTS, OUTBOXES
from kompensa.cluster.secrets import CaptureSecret, SecretError, SecretReference, read_secret
from kompensa.handlers.kind import Kind
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError
from kompensa.model.parsing import SpecError, convert_spec
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
REPEAT_SECONDS = 20.0
REPAIR_RETRY_SECONDS = 5.0
# Reasons of an Outbox that is at work as it should be, or begins to be; any other is an Event as well.
UNREMARKABLE = ("Capturing", "CatchingUp", "ConnectorStarting", "Pending")
GIVE_UP_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class CaptureSite:
    """The place of capture: Connect, Kafka, and the Secret that gives Connect the logins."""

    connect_url: str
    bootstrap: str
    secret: CaptureSecret | None
    folder: str


class _Secrets(msgspec.Struct, frozen=True, rename="camel"):
    """The operator's own part of the spec; `outbox_from_object` reads the rest."""

    database_secret_ref: SecretReference
    capture_secret_ref: SecretReference


@dataclass(frozen=True, kw_only=True)
class OutboxSpec:
    """An outbox, and the Secrets with the logins of the table's owner and of the capture role."""

    outbox: Outbox
    owner: SecretReference
    capture: SecretReference


class Outboxes(Kind[OutboxSpec]):
    """Keeps capture as the Outbox objects say."""

    resource = OUTBOXES

    def __init__(self, kube: Kube, site: CaptureSite) -> None:
        super().__init__(kube)
        self._site = site
        self._last: dict[str, OutboxStatus] = {}
        self._captured: dict[str, Database] = {}

    def read_spec(self, watched: WatchedObject) -> OutboxSpec:
        return outbox_spec(watched)

    async def reconcile(self, watched: WatchedObject, spec: OutboxSpec, attempt: int) -> float:
        try:
            owner = await self._login(watched.namespace, spec.owner)
            capture = await self._login(watched.namespace, spec.capture)
        except InvalidOutboxError as error:
            await self.say(watched, watched.fields, stalled("SpecInvalid", str(error)))
            return REPEAT_SECONDS
        except SecretError as error:
            await self.say(watched, watched.fields, working("SecretNotFound", str(error)))
            return REPAIR_RETRY_SECONDS
        status = await self._capture(watched, spec.outbox, owner, capture)
        said = ready(status.reason, status.message) if status.ready else working(status.reason, status.message)
        await self.say(watched, status.as_status(), said)
        return REPEAT_SECONDS if status.ready and status.reason != "CatchingUp" else REPAIR_RETRY_SECONDS

    async def finalize(self, watched: WatchedObject) -> bool:
        """Take capture down, then let the object go."""
        if FINALIZER in finalizers_of(watched):
            await self._take_down(watched)
        return True

    async def forget(self, watched: WatchedObject) -> None:
        self._last.pop(watched.uid, None)
        self._captured.pop(watched.uid, None)

    async def _capture(
        self, watched: WatchedObject, outbox: Outbox, owner: Database, capture: Database
    ) -> OutboxStatus:
        known = self._last.get(watched.uid) or remembered(outbox, watched.status)
        if FINALIZER not in finalizers_of(watched):
            try:
                await check_outbox(outbox, owner=owner, capture=capture, connect_url=self._site.connect_url)
            except CaptureError as error:
                return known.with_error(error)
            await self._set_finalizers(watched, [*finalizers_of(watched), FINALIZER])
        status = await reconcile_outbox(
            outbox,
            owner=owner,
            capture=capture,
            credentials=await self._credentials(watched, capture),
            connect_url=self._site.connect_url,
            bootstrap=self._site.bootstrap,
            previous=known,
        )
        await self._note(watched, known, status, capture)
        return status

    async def _note(self, watched: WatchedObject, known: OutboxStatus, status: OutboxStatus, capture: Database) -> None:
        self._last[watched.uid] = status
        if status.reason not in (known.reason, *UNREMARKABLE):
            await self._warn(watched, reason=status.reason, message=status.message)
        if status.ready:
            self._captured[watched.uid] = capture

    async def _login(self, namespace: str, reference: SecretReference) -> Database:
        values = await read_secret(self._kube, namespace, reference.name)
        return database_from_secret(reference.name, values, reference.keys)

    async def _credentials(self, watched: WatchedObject, capture: Database) -> Credentials:
        if self._site.secret is None:
            return Inline()
        await self._site.secret.put(login_key(watched), username=capture.username, password=capture.password)
        return Directory(path=self._site.folder, key=login_key(watched))

    async def _take_down(self, watched: WatchedObject) -> None:
        left = await self._removed(watched)
        left += await self._login_forgotten(watched)
        if left:
            message = f"capture leaves behind: {'; '.join(left)}"
            _log.warning("capture left behind", outbox=watched.key, what=message)
            await self._warn(watched, reason="CaptureLeftBehind", message=message)
        await self._set_finalizers(watched, [name for name in finalizers_of(watched) if name != FINALIZER])

    async def _removed(self, watched: WatchedObject) -> list[str]:
        """Take capture down; return a phrase for each thing that had to be left behind."""
        try:
            spec = outbox_spec(watched)
        except SpecError as error:
            return [f"connector, slot and publication, because the spec cannot be read ({error})"]
        owner, owner_gone = await self._login_if_there(watched.namespace, spec.owner)
        capture, capture_gone = await self._login_if_there(watched.namespace, spec.capture)
        left = await self._remove(watched, spec.outbox, owner, capture)
        await self._try_again_in_time(watched, left)
        left.sort(key=lambda each: each.kind != "slot")  # an Event's message is cut off, and the slot matters most
        return [left_behind(each, capture_gone if each.kind == "slot" else owner_gone) for each in left]

    async def _remove(
        self, watched: WatchedObject, outbox: Outbox, owner: Database | None, capture: Database | None
    ) -> list[Leftover]:
        try:
            capture = capture or await self._login_in_use(watched, outbox)
        except CaptureError as error:
            # Only the connector's configuration still has the address of the slot: the slot waits for Connect, too.
            connector = Leftover(kind="connector", name=outbox.connector, error=error)
            return [connector, Leftover(kind="slot", name=outbox.slot, error=None)]
        return await remove_outbox(outbox, owner=owner, capture=capture, connect_url=self._site.connect_url)

    async def _login_if_there(self, namespace: str, reference: SecretReference) -> tuple[Database | None, str]:
        """The login, or why there is none."""
        try:
            return await self._login(namespace, reference), ""
        except (SecretError, InvalidOutboxError, RefusedError) as error:
            return None, str(error)

    async def _login_in_use(self, watched: WatchedObject, outbox: Outbox) -> Database | None:
        """The capture login as we or Connect still know it; None if neither does.

        Raises
        ------
        CaptureError
            If Connect does not answer.
        """
        if watched.uid not in self._captured:
            login = await self._site.secret.login(login_key(watched)) if self._site.secret is not None else None
            found = await captured_database(outbox, connect_url=self._site.connect_url, login=login)
            if found is None:
                return None
            self._captured[watched.uid] = found  # removing the connector takes this knowledge away
        return self._captured[watched.uid]

    async def _try_again_in_time(self, watched: WatchedObject, left: Sequence[Leftover]) -> None:
        """Say on the object what deletion waits for and how long it will, unless that is over or would not help."""
        refused = next((each.error for each in left if each.error is not None), None)
        until = gives_up_at(watched)
        if refused is None or datetime.now(UTC) >= until:
            return
        message = f"{refused.message}; deletion waits for it and gives up at {until:%H:%M} UTC"
        await self.say(watched, {**watched.fields, "lastError": refused.message}, working(refused.reason, message))
        raise RetryLaterError(message, after=REPAIR_RETRY_SECONDS)

    async def _login_forgotten(self, watched: WatchedObject) -> list[str]:
        """Take the login away from Connect; a phrase when we may not."""
        if self._site.secret is None:
            return []
        try:
            await self._site.secret.remove(login_key(watched))
        except RefusedError as error:
            return [f"the capture login in the Secret that Kafka Connect mounts ({error})"]
        return []

    async def _warn(self, watched: WatchedObject, *, reason: str, message: str) -> None:
        """Write an Event, once for each reason."""
        warning = event(
            OUTBOXES,
            namespace=watched.namespace,
            name=watched.name,
            uid=watched.uid,
            reason=reason,
            message=message,
            kind="Warning",
            component="kompensa-operator",
        )
        try:
            await self._kube.create(EVENTS, watched.namespace, warning)
        except ConflictError:
            return  # written already: by an earlier pass, or before a later call of this deletion failed
        except KubeError as error:
            _log.warning("no Event could be written", outbox=watched.key, reason=reason, why=str(error))

    async def _set_finalizers(self, watched: WatchedObject, finalizers: list[str]) -> None:
        """A compare-and-set: another controller's finalizer must not be lost."""
        metadata = watched.raw["metadata"]
        body = {"metadata": {"finalizers": finalizers, "resourceVersion": metadata["resourceVersion"]}}
        try:
            patched = await self._kube.merge(OUTBOXES, watched.namespace, watched.name, body)
        except NotFoundError as error:
            if FINALIZER not in finalizers:
                return
            raise RetryLaterError(f"Outbox {watched.key} was deleted meanwhile") from error
        except ConflictError as error:
            fresh = await self._kube.get(OUTBOXES, watched.namespace, watched.name)
            watched.raw.update(fresh)
            raise RetryLaterError(f"Outbox {watched.key} was changed meanwhile") from error
        watched.raw["metadata"] = patched["metadata"]


def outbox_spec(watched: WatchedObject) -> OutboxSpec:
    """Parse the spec of an Outbox object.

    Raises
    ------
    SpecError
        Naming the field and the expected value.
    """
    try:
        outbox = outbox_from_object(watched.namespace, watched.name, watched.spec_as_written)
    except InvalidOutboxError as error:
        raise SpecError(str(error)) from error
    secrets = convert_spec(watched.spec_as_written, _Secrets)
    return OutboxSpec(outbox=outbox, owner=secrets.database_secret_ref, capture=secrets.capture_secret_ref)


def login_key(watched: WatchedObject) -> str:
    """Under what the capture login is kept for Connect."""
    return f"{watched.namespace}.{watched.name}"


def finalizers_of(watched: WatchedObject) -> list[str]:
    return list(watched.raw["metadata"].get("finalizers") or [])


def left_behind(left: Leftover, no_login: str) -> str:
    """For a person: the thing to remove by hand, why, and how."""
    why = left.error.message if left.error is not None else no_login
    how = {
        "connector": "DELETE it at Kafka Connect's REST API",
        "slot": f"unread, it keeps WAL until the disk is full: run SELECT pg_drop_replication_slot('{left.name}')",
        "publication": f"DROP PUBLICATION {left.name}",
    }
    return f"{left.kind} {left.name} ({why}), {how[left.kind]}"


def gives_up_at(watched: WatchedObject) -> datetime:
    """Until when a deletion waits for database and Connect."""
    asked = str(watched.raw["metadata"]["deletionTimestamp"]).replace("Z", "+00:00")
    return datetime.fromisoformat(asked).astimezone(UTC) + timedelta(seconds=GIVE_UP_SECONDS)
