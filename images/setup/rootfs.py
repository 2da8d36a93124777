"""Debian root file systems made from packages, where no image can be pulled."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from images.setup.cache import Cache
from images.setup.digest import key_of
from images.setup.stages import Report

# Documentation and translations are a third of a minimal Debian, and a container has no reader for them.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
KEPT = ("/usr/share/doc/*/copyright",)
TAR = "rootfs.tar"


@dataclass(frozen=True)
class RootFileSystem:
    """A minimal Debian with some packages more; `purged` (names or patterns) are removed again at the end."""

    name: str
    suite: str
    packages: Sequence[str]
    purged: Sequence[str] = ()

    def key(self) -> str:
        return key_of(*mmdebstrap_command(self, Path(TAR)))

    def tar(self, cache: Cache, report: Report) -> Path:
        """The tar file of it, made when it is not in the cache."""
        name = f"rootfs-{self.name}"
        if found := cache.found(name, self.key()):
            return found / TAR
        with report.stage(f"Debian for {self.name}") as stage:

            def make(folder: Path) -> None:
                stage.runner.run(mmdebstrap_command(self, folder / TAR))

            return cache.product(name, self.key(), make) / TAR


def mmdebstrap_command(rootfs: RootFileSystem, target: Path) -> list[str]:
    """The mirror is left to the tool's own default, as the machine is set up."""
    rules = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
    rules += [f"--dpkgopt=path-include={pattern}" for pattern in KEPT]
    purge = f'chroot "$1" apt-get purge --yes --auto-remove {shlex.join(rootfs.purged)}'
    hooks = [f"--customize-hook={purge}"] if rootfs.purged else []
    return [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=minbase",
        "--format=tar",
        *rules,
        f"--include={','.join(rootfs.packages)}",
        *hooks,
        rootfs.suite,
        str(target),
    ]
