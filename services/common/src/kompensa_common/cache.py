"""The folder in which a user's machine keeps expensive products (images/setup/cache.py chooses the same folder)."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return KOMPENSA_CACHE, else the folder `kompensa` in the XDG cache; it need not exist."""
    xdg = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("KOMPENSA_CACHE") or Path(xdg) / "kompensa").expanduser().absolute()
