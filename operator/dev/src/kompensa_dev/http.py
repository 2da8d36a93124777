"""Asking a local server whether it is there."""

from urllib.request import urlopen


def answers_ok(url: str, *, timeout: float = 2.0) -> bool:
    """Whether a GET gives a 2xx status; anything else, no connection included, counts as no."""
    try:
        with urlopen(url, timeout=timeout):  # noqa: S310 - loopback addresses of our own processes
            return True
    except OSError:
        return False
