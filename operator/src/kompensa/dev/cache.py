"""Where what is expensive to make is kept between runs (the same folder as the set-up's, see images/setup/cache.py)."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_folder() -> Path:
    """KOMPENSA_CACHE, else the XDG cache folder; made when it is not there."""
    xdg = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    path = Path(os.environ.get("KOMPENSA_CACHE") or Path(xdg) / "kompensa").expanduser().absolute()
    path.mkdir(parents=True, exist_ok=True)
    return path


def product(name: str, key: str, build: Callable[[Path], None]) -> Path:
    """The folder `products/<name>-<key>`, built first when there is none.

    It is built elsewhere and renamed into place, so it is whole or absent; of two builders at once the first wins.
    """
    final = cache_folder() / "products" / f"{name}-{key}"
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=final.parent))
    try:
        build(scratch)
        scratch.rename(final)
    except OSError:
        if not final.is_dir():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return final
