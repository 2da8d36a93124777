"""The name of an immutable revision: a hash of everything that decides how a saga runs."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from msgspec import json

from kompensa.model.specs import ParticipantSpec, SagaDefinitionSpec

LENGTH = 12


def revision_of(spec: SagaDefinitionSpec, participants: Mapping[str, ParticipantSpec]) -> str:
    """Twelve hex digits. They do not depend on a participant's URL, which may change while a saga runs."""
    declared = {
        step.participant_ref.name: (
            participants[step.participant_ref.name].idempotency,
            participants[step.participant_ref.name].timeout,
        )
        for step in spec.steps
    }
    return sha256(json.encode((spec, declared), order="deterministic")).hexdigest()[:LENGTH]
