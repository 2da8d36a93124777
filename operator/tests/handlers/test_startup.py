"""The watches stay alive."""

from itertools import islice

from kompensa.handlers.startup import WATCH_RETRY, watch_settings


def test_a_watch_that_is_refused_is_tried_again_without_end() -> None:
    """kopf ends the whole operator, with the watches of all namespaces, when these waits are over."""
    waits = watch_settings().networking.error_backoffs
    first, again = [list(islice(waits, 10_000)) for _ in range(2)]  # type: ignore[arg-type]
    assert len(first) == len(again) == 10_000
    assert max(first) <= WATCH_RETRY.longest * 1.5
    assert again[0] < 1.0
