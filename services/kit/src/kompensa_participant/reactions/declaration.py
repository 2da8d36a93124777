"""A service's reactions, as they are declared. Importing this reads no Kafka client."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from psycopg import AsyncConnection

from kompensa_common.backoff import Backoff
from kompensa_participant.reactions.event import ReceivedEvent

Handler = Callable[[AsyncConnection[Any], ReceivedEvent], Awaitable[None]]
PeriodicWork = Callable[[AsyncConnection[Any]], Awaitable[None]]

TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
MAJOR = re.compile(r"[0-9]{1,9}")
ATTEMPTS = 8
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
TIME_LIMIT = 10.0
LONGEST_TIME_LIMIT = 60.0
REACTION_ROUTES = ("GET /reactions", "GET /reactions/events", "GET /reactions/events/{event_id}")
"""The routes that a service with reactions has (see routes.py), for a row of its access table."""


@dataclass(frozen=True, kw_only=True)
class Reaction:
    """One topic's handler, and what happens if it fails.

    Attributes
    ----------
    ordered
        Whether later events of the same key wait while this one is retried or parked.
    major
        The major version of the event's form that the handler reads; `1` reads 1.0, 1.1 and so on.
    attempts
        How often the handler is tried before the event is parked.
    backoff
        The pauses between attempts.
    time_limit
        Seconds that one attempt may take.
    """

    topic: str
    handler: Handler
    ordered: bool
    major: str
    attempts: int
    backoff: Backoff
    time_limit: float

    def reads(self, version: str) -> bool:
        """Whether the handler reads this version of the event's form. A minor version only adds fields."""
        return version.partition(".")[0] == self.major


@dataclass(frozen=True, kw_only=True)
class Periodic:
    """Work that is done again and again, for example to act on deadlines. Each time is one transaction."""

    work: PeriodicWork
    seconds: float


class Reactions:
    """The reactions of one service: one handler for each topic, and its periodic work."""

    def __init__(self) -> None:
        self._reactions: dict[str, Reaction] = {}
        self.periodic: list[Periodic] = []

    def on(
        self,
        topic: str,
        *,
        ordered: bool = True,
        major: str = "1",
        attempts: int = ATTEMPTS,
        first_pause: float = FIRST_PAUSE,
        longest_pause: float = LONGEST_PAUSE,
        time_limit: float = TIME_LIMIT,
    ) -> Callable[[Handler], Handler]:
        """Declare the decorated function as the handler of a topic's events.

        Parameters
        ----------
        topic
            For example `inventory.stock-reserved`.
        ordered
            Whether later events of the same key wait while one is retried or parked. An unordered reaction neither
            waits for earlier events nor holds later ones back.
        major
            The major version of the event's form that the handler reads.
        attempts
            How often the handler is tried before the event is parked.
        first_pause, longest_pause
            Seconds between attempts: doubled each time, from the first pause up to the longest.
        time_limit
            Seconds that one attempt may take, 60 at most.

        Raises
        ------
        ValueError
            If the topic has a handler already, or if a value is out of range.
        """
        _check(topic, major, attempts, first_pause, longest_pause, time_limit)
        if topic in self._reactions:
            raise ValueError(
                f"topic {topic} has a handler already, {self._reactions[topic].handler.__name__}:"
                " one topic has one handler; call the second function from the first"
            )

        def declare(handler: Handler) -> Handler:
            self._reactions[topic] = Reaction(
                topic=topic,
                handler=handler,
                ordered=ordered,
                major=major,
                attempts=attempts,
                backoff=Backoff(first=first_pause, longest=longest_pause),
                time_limit=time_limit,
            )
            return handler

        return declare

    def every(self, seconds: float) -> Callable[[PeriodicWork], PeriodicWork]:
        """Declare the decorated function as work to do every so many seconds, in each process of the service.

        Several processes may do it at once: lock the rows that it changes, with `FOR UPDATE SKIP LOCKED`.

        Raises
        ------
        ValueError
            If `seconds` is not above 0.
        """
        if seconds <= 0:
            raise ValueError(f"seconds must be above 0, not {seconds}")

        def declare(work: PeriodicWork) -> PeriodicWork:
            self.periodic.append(Periodic(work=work, seconds=seconds))
            return work

        return declare

    def include(self, others: Reactions) -> None:
        """Add the reactions of another part of the service.

        Raises
        ------
        ValueError
            If both have a handler for one topic.
        """
        if both := sorted(self._reactions.keys() & others._reactions.keys()):
            raise ValueError(f"topic {', '.join(both)} has two handlers: one topic has one handler")
        self._reactions |= others._reactions
        self.periodic += others.periodic

    def prefixed(self, prefix: str) -> Reactions:
        """Return the same reactions for an installation whose topics all have this prefix, for example `staging.`."""
        copy = Reactions()
        copy.periodic = self.periodic
        for topic, reaction in self._reactions.items():
            copy._reactions[prefix + topic] = replace(reaction, topic=prefix + topic)
        return copy

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(sorted(self._reactions))

    def of(self, topic: str) -> Reaction | None:
        """Return the reaction to a topic's events, or None if there is none (any more)."""
        return self._reactions.get(topic)


def _check(topic: str, major: str, attempts: int, first_pause: float, longest_pause: float, time_limit: float) -> None:
    if not TOPIC.fullmatch(topic):
        raise ValueError(f"{topic!r} is not the name of a topic (expected for example inventory.stock-reserved)")
    if not MAJOR.fullmatch(major):
        raise ValueError(f"topic {topic}: major must be a whole number as text, for example '1', not {major!r}")
    if attempts < 1:
        raise ValueError(f"topic {topic}: attempts must be at least 1, not {attempts}")
    if not 0 < first_pause <= longest_pause:
        raise ValueError(f"topic {topic}: first_pause must be above 0 and at most longest_pause, not {first_pause}")
    if not 0 < time_limit <= LONGEST_TIME_LIMIT:
        raise ValueError(f"topic {topic}: time_limit must be above 0 s and at most 60 s, not {time_limit}")
