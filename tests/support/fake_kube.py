"""`Kube` over objects in memory, for handlers: no API server, and each request can be refused.

Integration tests run a real API server; this fake is for what a real one cannot be made to do on request.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from kompensa.cluster.kube import KubeError, NotFoundError, Presence
from kompensa.cluster.resources import SAGAS, SECRETS, Object, Resource

Refuses = Callable[[str, Resource, str | None], KubeError | None]
"""The error for a verb on a kind in a namespace; None lets the request pass."""


def metadata_of(name: str, *, namespace: str = "shop", **metadata: Any) -> Object:
    """Metadata as the API server fills it in; the name serves as the uid."""
    return {"name": name, "namespace": namespace, "uid": name, "generation": 1} | metadata


def refusing(error: KubeError, verb: str, *, resource: Resource | None = None, namespace: str | None = None) -> Refuses:
    """Refuse this verb with this error, for one kind or namespace if they are given."""

    def refuses(asked: str, kind: Resource, where: str | None) -> KubeError | None:
        meant = asked == verb and resource in (None, kind) and namespace in (None, where)
        return error if meant else None

    return refuses


@dataclass
class FakeKube:
    """The requests that the handlers make, in the form of `Kube`.

    Attributes
    ----------
    statuses
        The statuses written, in their order.
    asked
        Verb and namespace of each request that may be refused.
    at_end_of_list
        Called once a list has been read.
    """

    refuses: Refuses | None = None
    statuses: list[Object] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    presences: dict[str, Presence] = field(default_factory=dict)
    unwatchable: set[str] = field(default_factory=set)
    at_end_of_list: Callable[[], Awaitable[None]] | None = None
    _objects: dict[tuple[Resource, str, str], Object] = field(default_factory=dict)

    def add(self, resource: Resource, name: str, *, metadata: Object | None = None, **members: Any) -> None:
        """Have an object of this name."""
        made = metadata_of(name, **(metadata or {}))
        self._objects[resource, made["namespace"], name] = {"metadata": made, **members}

    def add_secret(self, name: str, **encoded: str) -> None:
        self.add(SECRETS, name, data=encoded)

    def reasons(self, condition: str = "Ready") -> list[str]:
        """The reasons of a condition in the statuses written."""
        said = [each for status in self.statuses for each in status["conditions"]]
        return [each["reason"] for each in said if each["type"] == condition]

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        self._ask("get", resource, namespace)
        found = self._objects.get((resource, namespace, name))
        if found is None:
            raise NotFoundError(f"{resource.kind} {namespace}/{name} does not exist")
        return found

    async def each(self, resource: Resource, namespace: str | None, *, metadata_only: bool) -> AsyncIterator[Object]:
        """A list that is refused ends in the error, as one does whose second page did not come."""
        for (kind, where, _), found in list(self._objects.items()):
            if kind == resource and namespace in (None, where):
                yield found
        self._ask("list", resource, namespace)
        if self.at_end_of_list is not None:
            await self.at_end_of_list()

    async def set_status(self, resource: Resource, namespace: str, name: str, uid: str, status: Object) -> Object:
        self._ask("set_status", resource, namespace)
        self.statuses.append(status)
        return {}

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str) -> None:
        self._ask("delete", resource, namespace)
        self.deleted.append(name)

    async def presence(self, namespace: str) -> Presence:
        return self.presences.get(namespace, Presence.PRESENT)

    async def may(self, verb: str, resource: Resource, namespace: str | None) -> bool:
        assert verb == "watch"
        return resource is not SAGAS or namespace not in self.unwatchable

    def _ask(self, verb: str, resource: Resource, namespace: str | None) -> None:
        self.asked.append((verb, namespace))
        error = self.refuses(verb, resource, namespace) if self.refuses is not None else None
        if error is not None:
            raise error
