"""The requests of a Saga object to the engine, and its view of another object's saga. Pure."""

from dataclasses import dataclass

from kompensa.client.engine_client import Ask
from kompensa.cluster.resources import Object
from kompensa.cluster.status import saga_status
from kompensa.handlers.watched_object import WatchedObject
from kompensa.model.specs import SagaSpec
from kompensa.model.view import SagaView


@dataclass(frozen=True, slots=True)
class Controls:
    """The fields that may change after creation: whether to hold the saga, and whether to undo it."""

    suspend: bool = False
    cancel: bool = False


def controls(watched: WatchedObject, spec: SagaSpec) -> Controls:
    """The object's controls.

    If another finalizer, or a deletion in the foreground, keeps the object, its saga is undone like a cancelled one:
    while the object exists it shows the progress.
    """
    undone = watched.being_deleted and spec.deletion_policy == "Compensate"
    return Controls(suspend=spec.suspend, cancel=spec.cancel or undone)


def start_request(watched: WatchedObject, spec: SagaSpec) -> Object:
    """The body that starts this Saga at the engine."""
    optional = {
        "idempotencyKey": spec.idempotency_key,
        "ttlSecondsAfterFinished": spec.ttl_seconds_after_finished,
    }
    asked = controls(watched, spec)
    return {
        "id": watched.uid,
        "name": watched.name,
        "object": {"name": watched.name, "uid": watched.uid, "generation": watched.generation},
        "definition": spec.definition_ref.name,
        "input": spec.input,
        "deletionPolicy": spec.deletion_policy,
        "suspend": asked.suspend,
        "cancel": asked.cancel,
        **{name: value for name, value in optional.items() if value is not None},
    }


def overdue(asked: Controls, phase: str) -> list[Ask]:
    """The requests that a saga in `phase` missed because the operator was away when its object changed."""
    if asked.cancel and phase in ("Pending", "Running", "Suspended"):
        return ["cancel"]
    if asked.suspend and phase in ("Pending", "Running"):
        return ["suspend"]
    if not asked.suspend and phase == "Suspended":
        return ["resume"]
    return []


def mirror_status(generation: int, spec: SagaSpec, view: SagaView) -> Object:
    """Another object's saga as the status of this one. If this one is to be held or undone, name the right one."""
    status = saga_status(view, generation)
    if not (spec.suspend or spec.cancel):
        return status
    hint = f"shows the run of {view.namespace}/{view.name or view.id}; suspend or cancel that one"
    status["message"] = f"{status['message']}; {hint}" if status.get("message") else hint
    for condition in status["conditions"]:
        if condition["type"] == "Ready":
            condition["message"] = f"{condition['message']}; {hint}" if condition["message"] else hint
    return status
