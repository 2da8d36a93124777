"""The Python environment `.venv`: every distribution of the checkout editable, all else as requirements.lock pins.

Made by `python3 -m venv`; uv, itself pinned in the lock, does the rest. A stamp inside the environment says what it
was made from, so that nothing is done twice.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from images.setup.cache import Cache
from images.setup.commands import Command, Runner
from images.setup.digest import key_of
from images.setup.errors import SetupError
from images.setup.requirements import LOCK, pinned, read_lock
from images.setup.stages import Report
from images.setup.versions import CHECKOUT

VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin/python"
STAMP = VENV / "kompensa-key"
MINIMUM_PYTHON = (3, 11)
# Certificates of the machine, also where they are not those that uv brings along; bytecode so that starts are quick.
UV_ENVIRONMENT: Mapping[str, str] = {"UV_SYSTEM_CERTS": "1", "UV_NO_PROGRESS": "1", "UV_COMPILE_BYTECODE": "1"}
# Package name -> folder, in the order of their dependencies.
DISTRIBUTIONS: Mapping[str, str] = {
    "kompensa-cdc": "cdc",
    "kompensa": "operator",
    "kompensa-participant": "services/kit",
    "shop-orders": "services/orders",
    "shop-inventory": "services/inventory",
    "shop-payments": "services/payments",
    "shop-invoices": "services/invoices",
    "shop-shipping": "services/shipping",
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
        _ensure_uv(cache, stage.runner)
        uv = VENV / "bin/uv"
        synchronize: Command = [uv, "pip", "sync", "--quiet", "--python", PYTHON, "--require-hashes", LOCK]
        stage.runner.run(synchronize, env=UV_ENVIRONMENT)
        stage.runner.run([*install_command(uv), *editable_arguments()], cwd=CHECKOUT, env=UV_ENVIRONMENT)
        STAMP.write_text(key(), encoding="utf-8")


def install_command(uv: Path) -> Command:
    """Installing distributions of this workspace: their dependencies are there, and so is what builds them."""
    return [uv, "pip", "install", "--quiet", "--python", PYTHON, "--no-deps", "--no-build-isolation"]


def editable_arguments() -> list[str]:
    return [word for folder in DISTRIBUTIONS.values() for word in ("--editable", folder)]


def _ensure_uv(cache: Cache, runner: Runner) -> None:
    """A working interpreter and the pinned uv in it; an environment that a Python upgrade broke is made anew."""
    wanted = pinned(read_lock(), ["uv"])
    works = (VENV / "bin/uv").exists() and PYTHON.exists()
    if works and f"uv=={_installed_uv()}" in wanted:
        return
    runner.run([sys.executable, "-m", "venv", "--clear", VENV])
    with cache.scratch() as scratch:
        requirement = scratch / "uv.txt"
        requirement.write_text(wanted, encoding="utf-8")
        pip: Command = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        runner.run([*pip, "-r", requirement])


def _installed_uv() -> str:
    folders = sorted(VENV.glob("lib/python3*/site-packages/uv-*.dist-info"))
    return folders[-1].name.removeprefix("uv-").removesuffix(".dist-info") if folders else ""
