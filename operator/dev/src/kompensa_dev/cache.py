"""Products that are expensive to make, kept between runs."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from kompensa_common.cache import cache_folder


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
