"""kopf's settings: how to log in, which kinds to watch, and that it writes nothing.

Only `on.event` handlers are registered, so kopf sets no finalizer and no annotation and patches nothing. Scanning is
off: the kinds are waited for before kopf starts, and no right on CRDs or namespaces is needed.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import kopf
import structlog

from kompensa.cluster.kube import Kube, KubeError, UnavailableError, load_configuration
from kompensa.cluster.resources import GROUP, OWN_KINDS, VERSION, Resource
from kompensa.handlers.watched_object import WatchedObject
from kompensa_common.backoff import Backoff

_log = structlog.get_logger(__name__)

KINDS_PATIENCE_SECONDS = 60.0
# Bounds on one watch request and on its silence: bookmarks come once a minute.
WATCH_SECONDS = 240
SILENCE_SECONDS = 90.0
WATCH_RETRY = Backoff(first=0.2, longest=30.0)

Offer = Callable[[WatchedObject], Awaitable[None]]


class Endless:
    """Waits between attempts of a watch that fails, without an end.

    kopf ends the whole operator when they are over: a namespace whose rights are gone would stop all the others. If the
    API server itself is away, the lease is lost, which ends the process. kopf iterates once per request.
    """

    def __iter__(self) -> Iterator[float]:
        return (WATCH_RETRY.pause(failures) for failures in itertools.count(1))


class KindsMissingError(KubeError):
    """The API server does not serve our kinds; the message says which and what to do."""


async def wait_for_kinds(kube: Kube, *, patience: float = KINDS_PATIENCE_SECONDS) -> None:
    """Wait until the API server serves all five kinds.

    Raises
    ------
    KindsMissingError
        When it does not within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            served = await kube.served(f"{GROUP}/{VERSION}")
            missing = [kind.plural for kind in OWN_KINDS if kind.plural not in served]
            problem = f"the API server does not serve {', '.join(missing)} of {GROUP}/{VERSION}"
        except UnavailableError as error:
            missing, problem = ["?"], str(error)
        if not missing:
            return
        if time.monotonic() > deadline:
            raise KindsMissingError(f"{problem}: install the CRDs (chart kompensa, crds.enabled=true)")
        await asyncio.sleep(1.0)


def watch_settings() -> kopf.OperatorSettings:
    """kopf's settings: no writes of its own, every wait bounded."""
    # A line for each event that was handed on says nothing.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    # A watch that is refused would log each attempt; `WatchedNamespaces` reports the trouble once.
    logging.getLogger("kopf._cogs.clients.watching").setLevel(logging.CRITICAL)
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 30
    settings.watching.connect_timeout = 5
    settings.watching.inactivity_timeout = SILENCE_SECONDS
    settings.watching.reconnect_backoff = 0.2
    settings.watching.chunk_size = 500
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = Endless()
    # Our handlers only offer to a queue; a worker that lingers for every finished Saga is memory for nothing.
    settings.queueing.idle_timeout = 1.0
    settings.process.ultimate_exiting_timeout = 30
    return settings


def watch_registry(offers: Mapping[Resource, Offer]) -> kopf.OperatorRegistry:
    """One `on.event` handler a kind, which hands the object on."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(_login)
    for resource, offer in offers.items():
        _register(registry, resource, offer)
    return registry


def _register(registry: kopf.OperatorRegistry, resource: Resource, offer: Offer) -> None:
    async def deliver(*, event: kopf.RawEvent, **_: Any) -> None:
        await offer(WatchedObject(dict(event["object"]), deleted=event["type"] == "DELETED"))

    kopf.on.event(GROUP, VERSION, resource.plural, id=f"deliver-{resource.plural}", registry=registry)(deliver)


async def _login(**_: Any) -> kopf.ConnectionInfo:
    """The same identity as our own requests have; asked again by kopf when a token is refused."""
    configuration = await load_configuration()
    header = await configuration.get_api_key_with_prefix("BearerToken")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        scheme="Bearer" if header else None,
        token=header.split(" ", 1)[-1] if header else None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        trust_env=False,
    )
