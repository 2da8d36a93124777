"""Sagas in memory without an engine, for tests of the engine's parts."""

from __future__ import annotations

from typing import Any

from kompensa.engine.running_saga import RunningSaga
from kompensa.engine.start import StartRequest, born
from kompensa.model.definition import Definition
from kompensa.model.parsing import compile_definition, parse_definition, parse_participant
from tests.support.engine_world import NAMESPACE, definition_spec
from tests.support.virtual_time import START


def a_definition(*steps: str) -> Definition:
    """A definition `order` whose participant takes keys."""
    participant = parse_participant({"url": "http://stub", "idempotency": "Keyed", "timeout": "2s"})
    spec = parse_definition(definition_spec(*steps or ("reserve",)))
    return compile_definition(namespace=NAMESPACE, name="order", spec=spec, participants={"stub": participant})


def a_saga(*, shard: int = 0, definition: Definition | None = None, **request: Any) -> RunningSaga:
    """A saga that was asked for, and is not durable yet. Its first step is about to be called."""
    wanted = StartRequest(definition="order", **request)
    running, _ = born(wanted, definition or a_definition(), shard=shard, now=START)
    return running
