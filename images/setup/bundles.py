"""The Python that goes into an image, put together on this host: `lib`, pinned dependencies, and `app`, our own code.

Assembled here rather than by RUN steps, so that an image build needs no network, shares uv's cache with .venv, and is a
few COPY lines that every engine treats alike. The two are apart so that a change of code leaves the layer of the
dependencies, a hundred times larger, as it is.
"""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from images.setup import slim, venv
from images.setup.cache import Cache
from images.setup.commands import Command, Runner, output_of
from images.setup.digest import key_of
from images.setup.errors import SetupError
from images.setup.requirements import pinned, read_lock
from images.setup.versions import CHECKOUT

# Debian 12's glibc; wheels for a newer one would not load in the image.
MANYLINUX = "manylinux_2_36"
IMAGE_PYTHON = "3.11"
SLIMMING = Path(slim.__file__)
# Bytecode, because a container can write none.
_ENVIRONMENT = {**venv.UV_ENVIRONMENT, "UV_COMPILE_BYTECODE": "1"}


@dataclass(frozen=True)
class Bundle:
    """The distributions of this workspace that one image holds."""

    name: str
    distributions: Sequence[str]

    def requirements(self) -> str:
        """The part of requirements.lock that these distributions need."""
        own = ",".join(venv.DISTRIBUTIONS)
        command: Command = [venv.PYTHON, "-m", "images.setup.closure", own, *self.distributions]
        names = output_of(command, cwd=CHECKOUT)
        if names is None:
            raise SetupError(f".venv is not complete: packages of {self.name} are missing; run `make venv`")
        return pinned(read_lock(), names.split())

    def app_key(self) -> str:
        folders = [CHECKOUT / venv.DISTRIBUTIONS[name] for name in self.distributions]
        sources = [path for folder in folders for path in (folder / "src", folder / "pyproject.toml")]
        return key_of(*sources, IMAGE_PYTHON)


def lib(requirements: str, cache: Cache, runner: Runner) -> Path:
    """A folder with the pinned packages for Debian's Python."""

    def install(folder: Path) -> None:
        (folder / "requirements.txt").write_text(requirements, encoding="utf-8")
        for_image = ["--python-version", IMAGE_PYTHON, "--python-platform", target_platform(), "--only-binary", ":all:"]
        verified: Command = ["--no-deps", "--require-hashes", "-r", folder / "requirements.txt"]
        runner.run([*_install_into(folder / "lib"), *for_image, *verified], env=_ENVIRONMENT)
        slim.slim(folder / "lib", runner)

    return cache.product("lib", lib_key(requirements), install) / "lib"


def lib_key(requirements: str) -> str:
    return key_of(requirements, IMAGE_PYTHON, target_platform(), SLIMMING)


def app(bundle: Bundle, cache: Cache, runner: Runner) -> Path:
    """A folder with our own distributions, installed from wheels built here."""

    def install(folder: Path) -> None:
        sources = [CHECKOUT / venv.DISTRIBUTIONS[name] for name in bundle.distributions]
        own: Command = ["--no-deps", "--no-build-isolation", *sources]
        runner.run([*_install_into(folder / "app"), *own], env=_ENVIRONMENT)

    return cache.product(f"app-{bundle.name}", bundle.app_key(), install) / "app"


def target_platform() -> str:
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine(), platform.machine())
    return f"{machine}-{MANYLINUX}"


def _install_into(target: Path) -> Command:
    uv: Command = [venv.VENV / "bin/uv", "pip", "install", "--quiet", "--python", venv.PYTHON]
    return [*uv, "--target", target, "--link-mode", "copy"]
