"""The load: orders of every fate and changes of customers, each retried by key until it is acknowledged.

A client that gives up on an error would hide the interesting cases. This one repeats the same request with the same
key until the engine accepts or rejects it, so that at the end every order is known to the engine or was rejected.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.support.cluster import Cluster
from tests.support.http import Answer
from tests.support.shop import PASSPORT, Scene

PATIENCE = 240.0
FATES = ("succeeds", "succeeds", "succeeds", "succeeds", "declined", "unbillable")


class Style(StrEnum):
    """An order is placed by the engine, or by services that react to each other."""

    ORCHESTRATED = "orchestrated"
    CHOREOGRAPHED = "choreographed"


@dataclass
class Tally:
    """The work of the load. Counters only grow; the lock keeps them right across threads."""

    accepted: dict[str, str] = field(default_factory=dict)
    changes: int = 0
    retries: int = 0
    given_up: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Scenes:
    """The customers of a run: those whose orders succeed, and those whose invoices cannot be issued."""

    ordinary: Scene
    poor: Scene
    foreign: Scene

    def order(self, fate: str) -> dict[str, Any]:
        scene = {"succeeds": self.ordinary, "declined": self.poor, "unbillable": self.foreign}[fate]
        return scene.order()


def set_the_scenes(cluster: Cluster) -> Scenes:
    return Scenes(
        ordinary=cluster.shop.scene(stock=1_000_000, balance="900000000.00"),
        poor=cluster.shop.scene(stock=1_000_000, balance="0.00"),
        foreign=cluster.shop.scene(stock=1_000_000, balance="900000000.00", document=PASSPORT),
    )


class Load:
    """Runs until `stop`; `rate` is orders a second, customer changes come at the same rate."""

    def __init__(self, cluster: Cluster, scenes: Scenes, *, rate: float, seed: int, styles: Sequence[Style]) -> None:
        self.cluster = cluster
        self.scenes = scenes
        self.rate = rate
        self.styles = itertools.cycle(styles)
        self.random = random.Random(seed)
        self.tally = Tally()
        self.stopping = threading.Event()
        self.customers = [cluster.shop.customer() for _ in range(10)]
        self.threads: list[threading.Thread] = []
        self.pacers = [threading.Thread(target=self._pace, args=(work,)) for work in (self._order, self._change)]

    def start(self) -> None:
        for pacer in self.pacers:
            pacer.start()

    def stop(self) -> Tally:
        """No new request; those under way are waited for."""
        self.stopping.set()
        for thread in [*self.pacers, *self.threads]:
            thread.join(timeout=PATIENCE + 10)
        return self.tally

    def _pace(self, work: Any) -> None:
        while not self.stopping.wait(1 / self.rate):
            self.threads = [thread for thread in self.threads if thread.is_alive()]
            if len(self.threads) < 64:  # the bound on what one crash can pile up
                thread = threading.Thread(target=work)
                thread.start()
                self.threads.append(thread)

    def _order(self) -> None:
        fate = self.random.choice(FATES)
        place = {Style.ORCHESTRATED: self._by_the_engine, Style.CHOREOGRAPHED: self._by_events}[next(self.styles)]
        saga = place(self.scenes.order(fate), str(uuid.uuid4()))
        if saga is not None:
            with self.tally.lock:
                self.tally.accepted[saga] = fate

    def _by_the_engine(self, order: dict[str, Any], key: str) -> str | None:
        body = {"definition": "create-order", "input": order, "idempotencyKey": key}
        answer = self._until_acknowledged(lambda: self.cluster.api("POST", "/v1/namespaces/shop/sagas", body), "order")
        return None if answer is None else str(answer.body["id"])

    def _by_events(self, order: dict[str, Any], key: str) -> str | None:
        body = {**order, "sagaId": key}
        answer = self._until_acknowledged(
            lambda: self.cluster.shop.call("orders", "POST", "/placements", body), "order by events"
        )
        return None if answer is None else key

    def _change(self) -> None:
        customer = self.random.choice(self.customers)
        fields = {k: v for k, v in customer.items() if k not in ("id", "version", "createdAt", "updatedAt")}
        fields["fullName"] = f"Ana Souza {self.random.randrange(10**6)}"
        path = f"/customers/{customer['id']}"
        if self._until_acknowledged(lambda: self.cluster.shop.call("orders", "PUT", path, fields), "change"):
            with self.tally.lock:
                self.tally.changes += 1

    def _until_acknowledged(self, send: Any, what: str) -> Answer | None:
        deadline = time.monotonic() + PATIENCE
        last: object = None
        while time.monotonic() < deadline:
            try:
                answer: Answer = send()
                if answer.status < 300:
                    return answer
                last = answer
            except OSError as error:
                last = error
            with self.tally.lock:
                self.tally.retries += 1
            time.sleep(0.5)
        with self.tally.lock:
            self.tally.given_up.append(f"{what}: {last}")
        return None
