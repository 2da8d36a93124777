"""Secrets: reading one by name, and the one that Kafka Connect reads its logins from."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from kompensa.cluster.kube import Kube, NotFoundError, RefusedError
from kompensa.cluster.resources import PODS, SECRETS
from kompensa_common.secrets import UnusableValueError, meant

_SYNCED = "kompensa.dev/capture-synced"


class SecretReference(msgspec.Struct, frozen=True, kw_only=True):
    """A Secret with a database login, as Outbox and Replica name it.

    `keys` gives names of keys by part (url, host, ...), if they are other than the usual ones.
    """

    name: str
    keys: dict[str, str] = {}


class SecretError(Exception):
    """A Secret or a key in it is missing. The message names it and its namespace, and never shows a value."""


async def read_secret(kube: Kube, namespace: str, name: str) -> dict[str, str]:
    """The Secret's values as text, line ends included. A value that is not text is left out.

    Raises
    ------
    SecretError
        If there is no such Secret.
    """
    try:
        secret = await kube.get(SECRETS, namespace, name)
    except NotFoundError:
        raise SecretError(f"Secret {name} does not exist in namespace {namespace}: create it") from None
    return {key: text for key, value in (secret.get("data") or {}).items() if (text := _text(value)) is not None}


async def read_key(kube: Kube, namespace: str, name: str, key: str) -> str:
    """One value of a Secret."""
    (value,) = await read_keys(kube, namespace, name, [key])
    return value


async def read_keys(kube: Kube, namespace: str, name: str, keys: Iterable[str]) -> list[str]:
    """Values of a Secret, in the order of `keys`.

    Raises
    ------
    SecretError
        If the Secret or a key does not exist, or a value is not one line of text.
    """
    values = await read_secret(kube, namespace, name)
    where = f"Secret {name} in namespace {namespace}"
    return [_value(values, key, where) for key in keys]


def _value(values: Mapping[str, str], key: str, where: str) -> str:
    if not values.get(key):
        known = ", ".join(sorted(values)) or "none"
        raise SecretError(f"{where} has no text under the key {key}; its keys: {known}")
    try:
        return meant(values[key], f"{where}: the value of {key}")
    except UnusableValueError as error:
        raise SecretError(str(error)) from None


class CaptureSecret:
    """The Secret in Connect's namespace whose keys Connect mounts as files."""

    def __init__(self, kube: Kube, *, namespace: str, name: str, pod_selector: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._pod_selector = pod_selector

    async def put(self, key: str, *, username: str, password: str) -> bool:
        """Hold these logins as `<key>.username` and `<key>.password`; False when they were there already."""
        return await self._set({f"{key}.username": _encoded(username), f"{key}.password": _encoded(password)})

    async def login(self, key: str) -> tuple[str, str] | None:
        """Username and password stored as `key`. None if there are none, or the operator has no right to read them."""
        try:
            values = await read_secret(self._kube, self._namespace, self._name)
        except (SecretError, RefusedError):
            return None
        username, password = values.get(f"{key}.username"), values.get(f"{key}.password")
        return (username, password) if username and password else None

    async def remove(self, key: str) -> None:
        """Remove these logins. A Secret that is gone has none."""
        with suppress(SecretError):
            await self._set({f"{key}.username": None, f"{key}.password": None})

    async def _set(self, wanted: dict[str, str | None]) -> bool:
        try:
            secret = await self._kube.get(SECRETS, self._namespace, self._name)
        except NotFoundError:
            raise SecretError(
                f"Secret {self._name} does not exist in namespace {self._namespace}: it comes with the chart of "
                "Kafka Connect; if you run your own Connect, create the Secret empty and mount it there"
            ) from None
        present = secret.get("data") or {}
        if all(present.get(key) == value for key, value in wanted.items()):
            return False
        await self._kube.merge(SECRETS, self._namespace, self._name, {"data": wanted})
        await self._sync()
        return True

    async def _sync(self) -> None:
        """Touch Connect's pods: the kubelet then refreshes their mounts at once instead of within a minute."""
        touched = {"metadata": {"annotations": {_SYNCED: datetime.now(UTC).isoformat()}}}
        async for pod in self._kube.each(PODS, self._namespace, labels=self._pod_selector, metadata_only=True):
            await self._kube.merge(PODS, self._namespace, pod["metadata"]["name"], touched)


def _text(value: str) -> str | None:
    """A value as text; None if it is not text, such as a keystore next to the login."""
    try:
        return base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()
