"""The specs as users write them in YAML: names in camelCase, durations as text. Unknown fields are rejected.

Defaults are the same here, in the CRDs and in the documentation. A test compares the first two.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from kompensa.model.calls import CallSpec, Endpoint
from kompensa.model.http_call import HttpEndpoint
from kompensa_common.durations import PATTERN as DURATION

NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(?!\n)$"
URL = r"^https?://[^\s/?#]+(/[^\s?#]*)?$"
LOGIN_IN_URL = re.compile(r"https?://[^/]*@")

Name = Annotated[str, Meta(pattern=NAME, max_length=63)]
Duration = Annotated[str, Meta(pattern=DURATION, max_length=32)]


Kind = Literal["Compensatable", "Retriable"]
Idempotency = Literal["Keyed", "None"]
DeletionPolicy = Literal["Compensate", "Orphan"]


class _Spec(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class Reference(_Spec, frozen=True, kw_only=True):
    name: Name


class SecretKeyReference(_Spec, frozen=True, kw_only=True):
    name: str
    key: str


class ParticipantSpec(_Spec, frozen=True, kw_only=True):
    """A service that takes part in sagas."""

    url: Annotated[str, Meta(pattern=URL, max_length=512)]
    idempotency: Idempotency = "None"
    timeout: Duration = "5s"
    max_in_flight: Annotated[int, Meta(ge=1, le=10000)] = 256
    token_secret_ref: SecretKeyReference | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The participant's address. Another way of calling than HTTP would get its own field next to `url`."""
        return HttpEndpoint(self.url)


class RetryPolicySpec(_Spec, frozen=True, kw_only=True):
    initial_interval: Duration = "200ms"
    backoff_coefficient: Annotated[float, Meta(ge=1, le=100)] = 2.0
    maximum_interval: Duration = "30s"
    maximum_attempts: Annotated[int, Meta(ge=1, le=1000)] = 6
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.2


class TimeoutsSpec(_Spec, frozen=True, kw_only=True):
    attempt: Duration | None = None
    total: Duration | None = None


class CompensationPolicySpec(_Spec, frozen=True, kw_only=True):
    retry_policy: RetryPolicySpec = RetryPolicySpec(initial_interval="500ms", maximum_attempts=20)


class StepSpec(_Spec, frozen=True, kw_only=True):
    name: Name
    kind: Kind = "Compensatable"
    participant_ref: Reference
    depends_on: Annotated[list[str], Meta(max_length=50)] | UnsetType = UNSET
    action: CallSpec
    outputs: Annotated[dict[str, str], Meta(max_length=50)] = {}
    compensation: CallSpec | None = None
    probe: CallSpec | None = None
    timeouts: TimeoutsSpec = TimeoutsSpec()
    retry_policy: RetryPolicySpec | None = None


class SagaDefinitionSpec(_Spec, frozen=True, kw_only=True):
    """Steps, their order and their policies."""

    input_schema: dict[str, Any] = {}
    deadline: Duration | None = None
    retry_policy: RetryPolicySpec = RetryPolicySpec()
    compensation: CompensationPolicySpec = CompensationPolicySpec()
    result: Annotated[dict[str, str], Meta(max_length=50)] = {}
    # UNSET is left out of the revision's hash, so definitions without these fields keep their revisions.
    failure_message: Annotated[str, Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    log_fields: Annotated[dict[str, str], Meta(max_length=10)] | UnsetType = UNSET
    steps: Annotated[list[StepSpec], Meta(min_length=1, max_length=50)]


class SagaSpec(_Spec, frozen=True, kw_only=True):
    """One run of a definition, as declared by a Saga object."""

    definition_ref: Reference
    input: dict[str, Any] = {}
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=253)] | None = None
    suspend: bool = False
    cancel: bool = False
    deletion_policy: DeletionPolicy = "Compensate"
    ttl_seconds_after_finished: Annotated[int, Meta(ge=0, le=315_360_000)] | None = None
