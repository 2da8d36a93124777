"""Sagas on the cluster: as objects one by one, and over HTTP with several in flight."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.bench.figures import Figure, figure, milliseconds
from tests.support.cluster import SHOP, Cluster
from tests.support.shop import saga

WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE")


def objects(cluster: Cluster, count: int) -> list[str]:
    """Apply sagas one by one, each after the one before has ended: creation to the terminal status, seen by a watch.

    Also the API server's own count of writes for each, without the creation.
    """
    order = cluster.shop.scene(stock=10_000_000, balance="900000000.00").order()
    names = [f"bench-{uuid.uuid4().hex[:10]}" for _ in range(count)]
    took: list[float] = []
    with _Watch(cluster) as watch:
        before = _writes(cluster)
        for name in names:
            cluster.kubectl.create(saga(name, order, ttlSecondsAfterFinished=600))
            created = time.perf_counter()
            ended = watch.ended(name)
            took.append(max(0.0, ended - created) * 1000)
        watch.settle()
        writes = _writes(cluster) - before - count
    shown = figure("Saga objects one by one: kubectl returned -> Succeeded seen", took)
    server = figure("the same by the objects' own times (start -> completion)", _own_times(cluster, set(names)))
    return [shown.line(), server.line(), f"API-server writes per Saga besides its creation: {writes / count:.2f}"]


class _Watch:
    """A `kubectl get --watch` whose lines are stamped as they come."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.seen: dict[str, float] = {}
        self.changed = threading.Condition()

    def __enter__(self) -> _Watch:
        columns = "NAME:.metadata.name,PHASE:.status.phase"
        self.process = subprocess.Popen(
            ["kubectl", "get", "sagas", "-n", SHOP, "--watch-only", "-o", f"custom-columns={columns}", "--no-headers"],
            env=dict(self.cluster.kubectl.environment),
            stdout=subprocess.PIPE,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        time.sleep(1.0)  # kubectl has no way to say that its watch is open
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            name, _, phase = line.strip().partition(" ")
            if phase.strip() in ("Succeeded", "Compensated", "InterventionRequired"):
                with self.changed:
                    self.seen.setdefault(name, time.perf_counter())
                    self.changed.notify_all()

    def ended(self, name: str) -> float:
        with self.changed:
            if not self.changed.wait_for(lambda: name in self.seen, timeout=60):
                raise TimeoutError(f"Saga {name} did not end within 60 s")
            return self.seen[name]

    def settle(self) -> None:
        """Let writes that follow an end (if there are any) happen before they are counted."""
        time.sleep(3)


def _writes(cluster: Cluster) -> float:
    """Requests that changed sagas, their status or events, as the API server itself counted them."""
    total = 0.0
    for line in cluster.kubectl.run("get", "--raw", "/metrics").splitlines():
        if not line.startswith("apiserver_request_total{"):
            continue
        labels, _, value = line.rpartition(" ")
        about = 'resource="sagas"' in labels or ('resource="events"' in labels and f'namespace="{SHOP}"' in labels)
        if about and any(f'verb="{verb}"' in labels for verb in WRITES):
            total += float(value)
    return total


def _own_times(cluster: Cluster, names: set[str]) -> list[float]:
    found = [s for s in cluster.kubectl.items("sagas", "-n", SHOP) if s["metadata"]["name"] in names]
    return [milliseconds(s["status"]["startTime"], s["status"]["completionTime"]) for s in found]


def over_http(cluster: Cluster, count: int, in_flight: int) -> Figure:
    """The same order started over HTTP and waited for in the same request."""
    order = cluster.shop.scene(stock=10_000_000, balance="900000000.00").order()

    def one(_: int) -> float:
        started = time.perf_counter()
        body = {"definition": "create-order", "input": order}
        view = cluster.api("POST", "/v1/namespaces/shop/sagas?wait=30s", body, timeout=40).ok()
        if view["phase"] != "Succeeded":
            raise RuntimeError(f"expected Succeeded, got {json.dumps(view)[:500]}")
        return (time.perf_counter() - started) * 1000

    one(0)  # the token, the connections, the caches
    started = time.perf_counter()
    with ThreadPoolExecutor(in_flight) as pool:
        took = list(pool.map(one, range(count)))
    return figure(f"over HTTP, {in_flight} in flight", took, elapsed=time.perf_counter() - started)


def lines(cluster: Cluster, count: int) -> Iterator[str]:
    yield from objects(cluster, count)
    for in_flight in (1, 16):
        yield over_http(cluster, count, in_flight).line()
