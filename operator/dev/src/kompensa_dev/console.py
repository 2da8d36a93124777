"""The console that the starters and the demo write to."""

import sys

from rich.console import Console

FILE_WIDTH = 120  # a file or a pipe has no width; the library's 80 columns would break words in tables


def paper() -> Console:
    """Standard output, as wide as the terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else FILE_WIDTH)
