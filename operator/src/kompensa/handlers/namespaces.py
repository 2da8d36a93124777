"""The namespaces that the operator watches, each with its own trouble and its own back-off.

A namespace may be deleted, may never have existed, or its RoleBinding may be gone: then requests there fail, and those
in all other namespaces must not. So trouble is kept per namespace: it is logged when it begins, changes and ends, shown
as a metric and by `/readyz`, and never fails a probe, because restarting the operator helps no namespace.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from kompensa.cluster.kube import KubeError, Presence, RefusedError, UnavailableError
from kompensa.handlers import metrics
from kompensa_common.backoff import Backoff

_log = structlog.get_logger(__name__)

RETRY = Backoff(first=5.0, longest=60.0)
"""Seconds until a namespace with trouble is looked at again."""

ALL_NAMESPACES = "*"
_FORBIDDEN = (401, 403)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a namespace cannot be worked in; `reason` is one of the slugs in docs/reference/conditions.md."""

    reason: str
    message: str


@dataclass(slots=True)
class _Watched:
    due_at: float = 0.0
    failures: int = 0
    trouble: Trouble | None = None


@dataclass
class WatchedNamespaces:
    """When each namespace is to be compared next, and its trouble. None is the whole cluster."""

    names: Sequence[str] = ()
    _states: dict[str | None, _Watched] = field(init=False)

    def __post_init__(self) -> None:
        self._states = {name: _Watched() for name in self.names or (None,)}

    def watches(self, namespace: str) -> bool:
        """Whether objects of this namespace are ours."""
        return None in self._states or namespace in self._states

    def due(self) -> list[str | None]:
        """The namespaces whose time to be compared has come."""
        now = time.monotonic()
        return [name for name, state in self._states.items() if state.due_at <= now]

    def next_due_in(self) -> float:
        """Seconds until a namespace is due."""
        return max(0.0, min(state.due_at for state in self._states.values()) - time.monotonic())

    def succeeded(self, namespace: str | None, *, again_in: float) -> bool:
        """Note a comparison without trouble; true if there was trouble before."""
        state = self._states[namespace]
        recovered = state.trouble is not None
        if recovered:
            _log.info("a watched namespace can be worked in again", namespace=namespace or ALL_NAMESPACES)
        self._show(namespace, state, None)
        state.failures, state.due_at = 0, time.monotonic() + again_in
        return recovered

    def failed(self, namespace: str | None, trouble: Trouble) -> None:
        """Note trouble, and look again after a while that grows."""
        state = self._states[namespace]
        if state.trouble is None or state.trouble.reason != trouble.reason:
            name = namespace or ALL_NAMESPACES
            _log.warning("a watched namespace has trouble", namespace=name, reason=trouble.reason, why=trouble.message)
        self._show(namespace, state, trouble)
        state.failures += 1
        state.due_at = time.monotonic() + RETRY.pause(state.failures)

    def troubles(self) -> dict[str, str]:
        """By namespace, reason and message of its trouble."""
        return {
            name or ALL_NAMESPACES: f"{state.trouble.reason}: {state.trouble.message}"
            for name, state in self._states.items()
            if state.trouble is not None
        }

    def _show(self, namespace: str | None, state: _Watched, trouble: Trouble | None) -> None:
        name = namespace or ALL_NAMESPACES
        if state.trouble is not None:
            metrics.NAMESPACE_TROUBLE.labels(name, state.trouble.reason).set(0)
        if trouble is not None:
            metrics.NAMESPACE_TROUBLE.labels(name, trouble.reason).set(1)
        state.trouble = trouble


def gone(namespace: str) -> Trouble:
    """The namespace does not exist."""
    return Trouble("NamespaceNotFound", f"namespace {namespace} does not exist: create it, or take it off the list")


def trouble_of(error: KubeError, presence: Presence) -> Trouble:
    """The trouble that an error of the API server shows."""
    if presence is Presence.TERMINATING:
        return Trouble("NamespaceTerminating", str(error))
    if isinstance(error, UnavailableError):
        return Trouble("APIServerUnavailable", str(error))
    if isinstance(error, RefusedError) and error.status in _FORBIDDEN:
        return Trouble("Forbidden", f"{error}; check Role and RoleBinding of the operator in this namespace")
    return Trouble("RequestFailed", str(error))
