"""A saga's view as the status of its Saga object. Pure: the same view gives the same status, even after a crash.

Transition times are therefore taken from the view and not from the last status. A condition with the value of the start
has had it since the start; any other has had its value since the last change.
"""

import re
from typing import Any

import msgspec

from kompensa.cluster.resources import Object
from kompensa.model.view import Condition, SagaView, StepView

# Fields that an object has outside of its status.
_NOT_IN_STATUS = frozenset({"id", "namespace", "name", "definition", "conditions"})
_AT_START = {
    "Ready": "False",
    "Reconciling": "True",
    "Stalled": "False",
    "Succeeded": "Unknown",
    "Compensated": "Unknown",
    "InterventionRequired": "False",
}
# Far below the 1.5 MiB that etcd takes; a list of Sagas holds many of them.
_LARGEST_BYTES = 256 * 1024
_LONGEST_MESSAGE_CHARACTERS = 4096
# The CRD's bounds for reasons and messages, charts/kompensa/files/crds/sagas.yaml.
_REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
_LONGEST_REASON_CHARACTERS = 256
_LONGEST_TEXT_CHARACTERS = 32_768
_NO_WORD = "Refused"


def saga_status(view: SagaView, generation: int | None = None) -> Object:
    """The whole status. Values too large for an object are left out, which the status says; the journal has them."""
    view = _fitting(view)
    fields: Object = {k: v for k, v in msgspec.to_builtins(view).items() if k not in _NOT_IN_STATUS}
    if "steps" in fields:
        fields["steps"] = list(fields["steps"])
    status = {
        **({} if generation is None else {"observedGeneration": generation}),
        **fields,
        "conditions": saga_conditions(view, generation),
    }
    return status if _size(status) <= _LARGEST_BYTES else _without_bulk(status, view.id)


def saga_conditions(view: SagaView, generation: int | None = None) -> list[dict[str, Any]]:
    """The view's conditions in the form of metav1.Condition."""
    moved_at = _last_change(view)
    observed = {} if generation is None else {"observedGeneration": generation}
    return [
        {
            "type": condition.type,
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message[:_LONGEST_MESSAGE_CHARACTERS],
            "lastTransitionTime": _seconds(
                view.start_time if condition.status == _AT_START.get(condition.type) else moved_at
            ),
            **observed,
        }
        for condition in view.conditions
    ]


def bare(status: Object) -> Object:
    """The phase alone, for an API server that refuses even the essence."""
    return {name: status[name] for name in ("observedGeneration", "phase") if name in status}


def essence(status: Object) -> Object:
    """The least that shows how a saga ended, for an API server that rejects the rest."""
    kept = (
        "observedGeneration",
        "phase",
        "revision",
        "progress",
        "reason",
        "startTime",
        "completionTime",
        "conditions",
    )
    return {name: status[name] for name in kept if name in status}


def _fitting(view: SagaView) -> SagaView:
    """The view within the CRD's bounds. Text from a participant never keeps the end from being shown."""
    reason, message = _explained(view.reason, view.message)
    return msgspec.structs.replace(
        view,
        reason=reason,
        message=message,
        steps=tuple(_fitting_step(step) for step in view.steps),
        conditions=tuple(_fitting_condition(condition) for condition in view.conditions),
    )


def _fitting_step(step: StepView) -> StepView:
    reason, message = _explained(step.reason, step.message)
    return msgspec.structs.replace(step, reason=reason, message=message)


def _fitting_condition(condition: Condition) -> Condition:
    reason, message = _explained(condition.reason, condition.message)
    return msgspec.structs.replace(condition, reason=reason, message=message or "")


def _explained(reason: str | None, message: str | None) -> tuple[str | None, str | None]:
    """A reason that is not valid in a Condition is moved to the message."""
    if reason is not None and not (len(reason) <= _LONGEST_REASON_CHARACTERS and _REASON.fullmatch(reason)):
        reason, message = _NO_WORD, f"{reason}: {message}" if message else reason
    return reason, message if message is None else message[:_LONGEST_TEXT_CHARACTERS]


def _last_change(view: SagaView) -> str:
    if view.completion_time is not None:
        return view.completion_time
    times = [view.start_time]
    for step in view.steps:
        times += [step.start_time or "", step.end_time or ""]
        times.append(step.compensation.end_time or "" if step.compensation else "")
    # All are UTC in one format, so their order as text is their order in time.
    return max(times)


def _without_bulk(status: Object, saga_id: str) -> Object:
    steps = [{k: v for k, v in step.items() if k != "outputs"} for step in status.get("steps", ())]
    smaller = {k: v for k, v in status.items() if k != "result"} | {"steps": steps}
    note = f"outputs and result are too large for an object; see: kompensa sagas get {saga_id}"
    smaller["message"] = (
        f"{status['message'][:_LONGEST_MESSAGE_CHARACTERS]} ({note})" if status.get("message") else note
    )
    return smaller


def _size(status: Object) -> int:
    return len(msgspec.json.encode(status))


def _seconds(timestamp: str) -> str:
    """Conditions carry whole seconds."""
    return f"{timestamp[:19]}Z"
