"""The event store's own arguments, without a database."""

import pytest

from kompensa_eventstore import EventStore


@pytest.mark.parametrize("name", ["", "an order", "Order/1", "x" * 101])
def test_a_type_that_could_end_no_topics_name_is_rejected_before_anything_is_stored(name: str) -> None:
    """Stored events cannot be corrected, and an Outbox could not publish them."""
    with pytest.raises(ValueError, match="type of an aggregate"):
        EventStore(name)
