"""Which projections a service has, and which events each of them follows."""

from __future__ import annotations

from typing import NamedTuple

from kompensa_eventstore import Feed
from kompensa_eventstore.projections import Projection


class Projected(NamedTuple):
    """A projection of a service, and the feed that it follows."""

    projection: Projection
    feed: Feed
