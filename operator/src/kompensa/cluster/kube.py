"""Requests to the API server: plain objects in and out, over the official client's connection.

Only the client's transport and credentials are used, not its generated models: our kinds have none, and a dict that
is passed through costs neither conversion nor a schema of its own. Every request has a time-out, the number in
flight is bounded, and there are four errors: not found, conflict, refused, unavailable. Nothing is retried here:
the caller knows whether that is worth it.
"""

import asyncio
import enum
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config
from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

from kompensa.cluster.resources import ACCESS_REVIEWS, NAMESPACES, Object, Resource

MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE_OBJECTS = 500
_IN_CLUSTER = "KUBERNETES_SERVICE_HOST"


class KubeError(Exception):
    """The API server did not do what was asked; the message is its own."""


class NotFoundError(KubeError):
    """404: the object, or its kind, does not exist. `of_object` if the API server knows the kind and said so."""

    def __init__(self, message: str, *, of_object: bool = False) -> None:
        super().__init__(message)
        self.of_object = of_object


class ConflictError(KubeError):
    """409: someone else wrote first, or the object is not the one that was meant."""


class RefusedError(KubeError):
    """Any other 4xx: repeating the same request will not help. `invalid_fields` are those the server complains of."""

    def __init__(self, message: str, *, status: int, invalid_fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.invalid_fields = invalid_fields


class UnavailableError(KubeError):
    """Connection, time-out, 429 or 5xx: worth repeating, not before `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Presence(enum.Enum):
    """Whether a namespace exists, as far as is known."""

    PRESENT = "Present"
    TERMINATING = "Terminating"
    GONE = "Gone"
    UNKNOWN = "Unknown"
    """The right to read it is missing."""


async def load_configuration() -> Configuration:
    """The API server's address and our identity there: from the pod's ServiceAccount, else from the kubeconfig."""
    configuration = Configuration()
    try:
        if os.environ.get(_IN_CLUSTER):
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # untyped there
        else:
            # Said explicitly: the client reads the variable once, when it is imported. Its functions have no types.
            await load_kube_config(config_file=_kubeconfig(), client_configuration=configuration)  # type: ignore[no-untyped-call]
    except ConfigException as error:
        raise KubeError(f"no way to the API server: {error}; run in a pod or set KUBECONFIG") from error
    # Proxy variables are for the world outside; the API server is never behind one.
    configuration.client_session_kwargs = {"trust_env": False}
    return configuration


def _kubeconfig() -> str:
    """The kubeconfig's path, or several. For one that is not there the client would print a line of its own."""
    paths = os.environ.get("KUBECONFIG") or KUBE_CONFIG_DEFAULT_LOCATION
    if not any(Path(path).expanduser().exists() for path in paths.split(os.pathsep) if path):
        raise ConfigException(f"there is no kubeconfig at {paths}")
    return paths


class Kube:
    """Requests to one API server; at most `in_flight` at a time, each with `timeout` seconds."""

    def __init__(self, client: ApiClient, *, in_flight: int = 32, timeout: float = 10.0) -> None:
        self._client = client
        self._slots = asyncio.Semaphore(in_flight)
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    @classmethod
    @asynccontextmanager
    async def connect(cls, *, in_flight: int = 32, timeout: float = 10.0) -> AsyncIterator[Self]:
        """A client for the API server of `load_configuration`, closed at the end."""
        client = ApiClient(await load_configuration())
        client.user_agent = "kompensa"
        try:
            yield cls(client, in_flight=in_flight, timeout=timeout)
        finally:
            await client.close()  # type: ignore[no-untyped-call]  # untyped there

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        return await self._request("GET", resource.path(namespace, name))

    async def each(
        self, resource: Resource, namespace: str | None, *, labels: str = "", metadata_only: bool = False
    ) -> AsyncIterator[Object]:
        """Every object of a kind, page by page, so that a large collection never has to fit into memory."""
        accept = _METADATA_ONLY if metadata_only else "application/json"
        token = ""
        while True:
            query = {"limit": str(_PAGE_OBJECTS)} | ({"labelSelector": labels} if labels else {})
            query |= {"continue": token} if token else {}
            page = await self._request("GET", resource.path(namespace), query=query, accept=accept)
            if "items" not in page:
                # A caller that compares with the list would take every object for deleted.
                raise UnavailableError(f"GET {resource.path(namespace)}: the answer is no list")
            for item in page["items"] or []:
                yield item
            token = page.get("metadata", {}).get("continue", "")
            if not token:
                return

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        return await self._request("POST", resource.path(namespace), body=body)

    async def replace(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """PUT; `metadata.resourceVersion` in the body makes it a compare-and-set."""
        return await self._request("PUT", resource.path(namespace, name), body=body)

    async def merge(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        return await self._request("PATCH", resource.path(namespace, name), body=body, content=MERGE_PATCH)

    async def set_status(self, resource: Resource, namespace: str, name: str, uid: str, status: Object) -> Object:
        """Replace the whole status of the object with this uid.

        A JSON Patch `test` guards the uid, because the API server ignores a uid in a merge patch of a status.

        Raises
        ------
        NotFoundError
            If no object has that name.
        ConflictError
            If another object has taken the name.
        """
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "add", "path": "/status", "value": status},
        ]
        path = resource.path(namespace, name, "status")
        try:
            return await self._request("PATCH", path, body=operations, content=JSON_PATCH)
        except RefusedError as refused:
            # A failed `test` is a 422 that complains of no field; a status that breaks the schema names one.
            if refused.status == _UNPROCESSABLE and not refused.invalid_fields:
                raise ConflictError(f"{resource.kind} {namespace}/{name} is not {uid}: {refused}") from refused
            raise

    async def apply(self, resource: Resource, namespace: str, body: Object, *, manager: str) -> Object:
        """Server-side apply: create or update the fields in `body`, take back those that `manager` applied before."""
        path = resource.path(namespace, body["metadata"]["name"])
        query = {"fieldManager": manager, "force": "true"}
        return await self._request("PATCH", path, body=body, content=APPLY_PATCH, query=query)

    async def delete(
        self, resource: Resource, namespace: str, name: str, *, uid: str, grace_seconds: int | None = None
    ) -> None:
        """Delete the object with this uid; one that is gone or replaced counts as deleted.

        `grace_seconds` is for pods: 0 forgets them at once and lets the kubelet end them, None leaves it to the pod.
        """
        body: Object = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        try:
            await self._request("DELETE", resource.path(namespace, name), body=body)
        except (NotFoundError, ConflictError):
            return

    async def served(self, api_version: str) -> frozenset[str]:
        """The plurals that the API server serves in a group and version; none when it does not know the group."""
        try:
            listing = await self._request("GET", f"/apis/{api_version}")
        except NotFoundError:
            return frozenset()
        return frozenset(resource["name"] for resource in listing.get("resources") or [])

    async def presence(self, namespace: str) -> Presence:
        """Whether a namespace exists. GONE is said only if the API server itself reports that there is none."""
        try:
            found = await self._request("GET", NAMESPACES.path(None, namespace))
        except NotFoundError as error:
            return Presence.GONE if error.of_object else Presence.UNKNOWN
        except RefusedError:
            return Presence.UNKNOWN
        return Presence.TERMINATING if "deletionTimestamp" in found["metadata"] else Presence.PRESENT

    async def may(self, verb: str, resource: Resource, namespace: str | None) -> bool:
        """Whether our rights allow this verb on a kind in a namespace; `namespace=None` means in all of them."""
        group = resource.api_version.partition("/")[0] if "/" in resource.api_version else ""
        wanted = {"verb": verb, "group": group, "resource": resource.plural, "namespace": namespace or ""}
        review = {
            "apiVersion": ACCESS_REVIEWS.api_version,
            "kind": ACCESS_REVIEWS.kind,
            "spec": {"resourceAttributes": wanted},
        }
        answer = await self._request("POST", ACCESS_REVIEWS.path(None), body=review)
        return bool((answer.get("status") or {}).get("allowed"))

    async def _request(
        self,
        method: str,
        path: str,
        *,
        body: Object | list[Any] | None = None,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        headers = {"Accept": accept, "Content-Type": content}
        async with self._slots:
            try:
                return await self._exchange(method, path, headers, body, query)
            except TimeoutError as error:
                raise UnavailableError(f"{method} {path}: no answer within {self._timeout.total} s") from error
            except (aiohttp.ClientError, RuntimeError) as error:
                # RuntimeError: uvloop, if the descriptor of a broken connection is reused too early.
                raise UnavailableError(f"{method} {path}: {error or type(error).__name__}") from error

    async def _exchange(
        self, method: str, path: str, headers: dict[str, str], body: Any, query: Mapping[str, str] | None
    ) -> Object:
        _, url, headers, _, _ = await self._client.param_serialize(
            method,
            path,
            header_params=headers,
            query_params=list((query or {}).items()),
            auth_settings=["BearerToken"],
        )
        response = await self._client.call_api(
            method, url, header_params=headers, body=body, _request_timeout=self._timeout
        )
        raw = await response.read()  # type: ignore[no-untyped-call]
        return _parsed(method, path, response.status, raw, response.headers.get("Retry-After"))


_UNPROCESSABLE = 422
_SUCCESS = range(200, 300)
_SERVER_ERROR = 500
_BUSY = 429


def _parsed(method: str, path: str, status: int, raw: bytes, retry_after: str | None) -> Object:
    try:
        document = json.loads(raw) if raw else {}
    except ValueError:
        document = None
    if status in _SUCCESS:
        if not isinstance(document, dict):
            raise UnavailableError(f"{method} {path}: {status}, but the body is not a JSON object: {raw[:80]!r}")
        return document
    document = document if isinstance(document, dict) else {}
    said = document.get("message")
    message = f"{method} {path}: {status} {said or raw[:200].decode(errors='replace')}"
    if status == 404:
        raise NotFoundError(message, of_object=document.get("reason") == "NotFound")
    if status == 409:
        raise ConflictError(message)
    if status == _BUSY or status >= _SERVER_ERROR:
        raise UnavailableError(message, retry_after=_seconds(retry_after))
    causes = (document.get("details") or {}).get("causes") or []
    raise RefusedError(message, status=status, invalid_fields=tuple(str(cause.get("field")) for cause in causes))


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdigit() else 0.0
