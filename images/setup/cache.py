"""Build products on disk, outside the checkout, found again by a key over their inputs.

A product is a folder `products/<name>-<key>`, built elsewhere and renamed into place: it is whole or absent, even after
a crash. One lock file a product keeps two runs from building the same thing twice. Old products of the same name are
dropped some days after their last use, so that the cache does not grow without bound.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KEPT_UNUSED_SECONDS = 14 * 24 * 3600.0


def default_root(environment: Mapping[str, str]) -> Path:
    """KOMPENSA_CACHE, else the XDG cache folder."""
    if chosen := environment.get("KOMPENSA_CACHE"):
        return Path(chosen).expanduser().absolute()
    xdg = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".cache")
    return Path(xdg) / "kompensa"


@dataclass(frozen=True)
class Cache:
    """The cache folder and its content."""

    root: Path

    @property
    def logs(self) -> Path:
        return self._folder("logs")

    @property
    def bin(self) -> Path:
        """Links to the current kind, kubectl and helm."""
        return self._folder("bin")

    @property
    def state(self) -> Path:
        """Small files that are rewritten at will: kubeconfig, containers.conf, Helm values."""
        return self._folder("state")

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    def path(self, name: str, key: str) -> Path:
        """The folder that the product is in, or will be."""
        return self._folder("products") / f"{name}-{key}"

    def found(self, name: str, key: str) -> Path | None:
        """The product's folder when it is there; counts as a use of it."""
        path = self.path(name, key)
        if not path.is_dir():
            return None
        os.utime(path)
        return path

    def product(self, name: str, key: str, build: Callable[[Path], None]) -> Path:
        """Return the product's folder, building it first when there is none.

        Parameters
        ----------
        build
            Fills the empty folder it is given. When it raises, nothing is left behind.
        """
        final = self.path(name, key)
        with self.lock(f"{name}-{key}"):
            if not final.is_dir():
                self._build_into(final, build)
                self._drop_unused(name)
        os.utime(final)
        return final

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder on the cache's own disk; removed at the end."""
        folder = Path(tempfile.mkdtemp(dir=self._folder("tmp")))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Exclusive between processes; the kernel frees it when its holder dies, so none is ever stale."""
        with (self._folder("locks") / name).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _build_into(self, final: Path, build: Callable[[Path], None]) -> None:
        with self.scratch() as scratch:
            folder = scratch / "product"
            folder.mkdir(mode=0o755)
            build(folder)
            folder.rename(final)

    def _drop_unused(self, name: str) -> None:
        oldest = time.time() - KEPT_UNUSED_SECONDS
        for path in self._folder("products").glob(f"{name}-*"):
            if path.name.rpartition("-")[0] == name and path.stat().st_mtime < oldest:
                shutil.rmtree(path, ignore_errors=True)

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder
