"""The Python environment `.venv`: every distribution of the checkout editable, all else as requirements.lock pins.

Made by uv, which the lock pins too and which the cache keeps: only its own first installation takes pip. A stamp inside
the environment says what it was made from, so that nothing is done twice.
"""

import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from images.setup.cache import Cache
from images.setup.commands import Command, Runner
from images.setup.digest import key_of
from images.setup.errors import SetupError
from images.setup.requirements import LOCK, pinned, read_lock
from images.setup.shop import SERVICES
from images.setup.stages import Report
from images.setup.versions import CHECKOUT

VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin/python"
STAMP = VENV / "kompensa-key"
MINIMUM_PYTHON = (3, 11)
# Certificates of the machine, even if uv brings others along; Python only as it is here.
UV_ENVIRONMENT: Mapping[str, str] = {"UV_SYSTEM_CERTS": "1", "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
# Package name -> folder, in the order of their dependencies.
DISTRIBUTIONS: Mapping[str, str] = {
    "kompensa-common": "services/common",
    "kompensa-consumer": "services/consumer",
    "kompensa-cdc": "cdc",
    "kompensa": "operator",
    "kompensa-dev": "operator/dev",
    "kompensa-participant": "services/kit",
    "kompensa-eventstore": "services/eventstore",
    **{f"shop-{name}": f"services/{name}" for name in SERVICES},
}


def key() -> str:
    projects = [CHECKOUT / folder / "pyproject.toml" for folder in DISTRIBUTIONS.values()]
    return key_of(LOCK, *projects, f"{sys.version_info.major}.{sys.version_info.minor}", str(VENV))


def is_current() -> bool:
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == key()


def ensure(cache: Cache, report: Report) -> None:
    """Make or update the environment; nothing when it is current."""
    if is_current():
        return
    if sys.version_info[:2] < MINIMUM_PYTHON:
        raise SetupError(f"Python 3.11 is needed, this is {sys.version.split()[0]}; run `python3.11 -m images`")
    with report.stage("python environment") as stage, cache.lock(f"venv-{key_of(str(VENV))}"):
        if is_current():
            return
        uv = _uv(cache, stage.runner)
        if not PYTHON.exists():
            stage.runner.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, VENV], env=UV_ENVIRONMENT)
        synchronize: Command = [uv, "pip", "sync", "--quiet", "--python", PYTHON, "--require-hashes", LOCK]
        stage.runner.run(synchronize, env=UV_ENVIRONMENT)
        stage.runner.run([*install_command(uv), *editable_arguments()], cwd=CHECKOUT, env=UV_ENVIRONMENT)
        STAMP.write_text(key(), encoding="utf-8")


def install_command(uv: Path) -> Command:
    """Installing distributions of this workspace: their dependencies are there, and so is what builds them."""
    return [uv, "pip", "install", "--quiet", "--python", PYTHON, "--no-deps", "--no-build-isolation"]


def editable_arguments() -> list[str]:
    return [word for folder in DISTRIBUTIONS.values() for word in ("--editable", folder)]


def _uv(cache: Cache, runner: Runner) -> Path:
    """The pinned uv, out of the cache; put there by the pip of an environment that is thrown away again."""
    wanted = pinned(read_lock(), ["uv"])

    def install(folder: Path) -> None:
        with cache.scratch() as scratch:
            runner.run([sys.executable, "-m", "venv", scratch / "venv"])
            requirement = scratch / "uv.txt"
            requirement.write_text(wanted, encoding="utf-8")
            pip: Command = [scratch / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
            runner.run([*pip, "--require-hashes", "--target", folder, "-r", requirement])

    return cache.product("uv", key_of(wanted, platform.machine()), install) / "bin/uv"
