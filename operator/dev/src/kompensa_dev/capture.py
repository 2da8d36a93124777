"""Keeping outboxes captured, in the place of the operator: the same reconciliation, repeated by a thread."""

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from kompensa.manifests.apply import Say
from kompensa.manifests.documents import Document
from kompensa_cdc.capture import Database, Directory, Outbox, OutboxStatus, outbox_from_object, reconcile_outbox
from kompensa_dev.connect import ConnectWorker
from kompensa_dev.errors import DevError
from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.postgres import Login
from kompensa_dev.shop import Logins

READY_SECONDS = 60.0
REPEAT_SECONDS = 5.0
RETRY_SECONDS = 0.5


@dataclass
class Capture:
    """The outboxes of one stack; `statuses` is by namespace and name, as in the status of an Outbox object.

    `say` gets the error of a pass, from the thread.
    """

    kafka: KafkaBroker
    connect: ConnectWorker
    logins: Logins
    say: Say
    statuses: dict[str, OutboxStatus] = field(default_factory=dict)
    _troubles: dict[str, str] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, documents: Sequence[Document]) -> None:
        """Bring every outbox to Ready, then keep it so.

        Raises
        ------
        DevError
            With the status' message, when one does not become Ready in time.
        """
        deadline = time.monotonic() + READY_SECONDS
        while waiting := [document for document in documents if not self._reconcile(document).ready]:
            if time.monotonic() > deadline or self._over.is_set():
                raise DevError(f"{waiting[0]}: {self.statuses[str(waiting[0])].message}")
            self._over.wait(RETRY_SECONDS)
        self._thread = threading.Thread(target=self._repeat, args=(documents,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()

    def _repeat(self, documents: Sequence[Document]) -> None:
        while not self._over.wait(REPEAT_SECONDS):
            for document in documents:
                self._reconcile_or_tell(document)

    def _reconcile_or_tell(self, document: Document) -> None:
        """A pass that fails may not end the thread: the next one may do better. The same failure is reported once."""
        trouble = ""
        try:
            self._reconcile(document)
        except Exception as error:
            trouble = f"{document} could not be looked after ({type(error).__name__}: {error}); tried again and again"
        if trouble and trouble != self._troubles.get(str(document)):
            self.say(trouble)
        self._troubles[str(document)] = trouble

    def _reconcile(self, document: Document) -> OutboxStatus:
        outbox = outbox_from_object(document.namespace, document.name, document.spec)
        owner, capture = (self._login(document, field) for field in ("databaseSecretRef", "captureSecretRef"))
        key = f"{document.namespace}.{document.name}"
        self.connect.write_login(key, username=capture.username, password=capture.password)
        status = asyncio.run(self._reconciled(outbox, owner, capture, key, self.statuses.get(str(document))))
        self.statuses[str(document)] = status
        return status

    async def _reconciled(
        self, outbox: Outbox, owner: Login, capture: Login, key: str, previous: OutboxStatus | None
    ) -> OutboxStatus:
        return await reconcile_outbox(
            outbox,
            owner=_database(owner),
            capture=_database(capture),
            credentials=Directory(path=str(self.connect.credentials), key=key),
            connect_url=self.connect.url,
            bootstrap=self.kafka.bootstrap,
            previous=previous,
        )

    def _login(self, document: Document, field_name: str) -> Login:
        return login_of_secret(self.logins, document, (document.spec.get(field_name) or {}).get("name", ""))


def login_of_secret(logins: Logins, document: Document, secret: str) -> Login:
    """The local login in the place of a Secret of the cluster.

    Raises
    ------
    DevError
        When there is none; the text lists the known ones.
    """
    try:
        return logins.by_secret[secret]
    except KeyError:
        known = ", ".join(sorted(logins.by_secret))
        raise DevError(f"{document.source}: {document} names the Secret {secret!r}; here there are {known}") from None


def _database(login: Login) -> Database:
    return Database(
        host=login.host,
        port=login.port,
        database=login.database,
        username=login.username,
        password=login.password,
    )
