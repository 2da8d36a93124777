"""Finding PostgreSQL's programs on this machine, and a data folder that `initdb` made earlier."""

import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from kompensa_dev.cache import product
from kompensa_dev.errors import DevError

PREFERRED = "15"
_INITDB = ("--auth-local=trust", "--auth-host=scram-sha-256", "--username=postgres", "--encoding=UTF8")
# One locale everywhere, so that text sorts the same on a laptop and in CI.
_LOCALE = ("--no-locale",)


def programs() -> Path:
    """The folder with `postgres` and `initdb`: Debian's version 15, else the newest, else the one on PATH.

    Raises
    ------
    DevError
        With the command that installs it.
    """
    versions = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin/postgres"), key=_version)
    for path in versions:
        if _version(path) == int(PREFERRED):
            return path.parent
    if versions:
        return versions[-1].parent
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    raise DevError(
        "PostgreSQL is not installed: on Debian or Ubuntu run "
        f"`sudo apt-get install -y --no-install-recommends postgresql-{PREFERRED}`, on macOS `brew install postgresql`"
    )


def unprivileged_user() -> str | None:
    """The user to run as: None for ours, or, as PostgreSQL refuses to run as root, `postgres` or `nobody`."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise DevError("PostgreSQL refuses to run as root and there is no user postgres: run `useradd --system postgres`")


def give_to(user: str | None, folder: Path) -> None:
    """Hand a folder and all in it over to a user."""
    if user is None:
        return
    owner = pwd.getpwnam(user)
    for place, _, files in os.walk(folder):
        os.chown(place, owner.pw_uid, owner.pw_gid)
        for name in files:
            os.chown(Path(place) / name, owner.pw_uid, owner.pw_gid)


def require_reachable(user: str | None, folder: Path) -> None:
    """Make sure that the user can work in a folder, which lies below others that may be closed to it.

    Raises
    ------
    DevError
        When it cannot, with what to do.
    """
    if user is None:
        return
    reached = subprocess.run(["test", "-w", folder], user=user, extra_groups=[], check=False)
    if reached.returncode != 0:
        raise DevError(
            f"PostgreSQL runs as the user {user} here, who cannot reach {folder}: choose a folder whose parents "
            "everybody may enter (not one below /root), for example /var/tmp/kompensa"
        )


def copy_fresh_cluster(data: Path) -> str:
    """Fill `data` with a database cluster as `initdb` leaves it, and return its superuser's password.

    `initdb` takes seconds, copying what it made tenths of one; so it runs once a version and machine.
    """
    binaries = programs()
    version = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    key = hashlib.sha256(" ".join([version, *_INITDB, *_LOCALE]).encode()).hexdigest()[:12]
    template = product("postgres-cluster", key, lambda folder: _initdb(binaries, folder))
    shutil.copytree(template / "data", data)
    data.chmod(0o700)
    return (template / "password").read_text(encoding="utf-8")


def _initdb(binaries: Path, folder: Path) -> None:
    user = unprivileged_user()
    password = secrets.token_hex(16)
    # Made where that user may work: the cache may lie in a home folder that it cannot enter.
    with tempfile.TemporaryDirectory(prefix="kompensa-initdb-") as scratch:
        work = Path(scratch)
        (work / "password").write_text(password, encoding="utf-8")
        give_to(user, work)
        own = ("--no-sync", f"--pwfile={work}/password", "-D", f"{work}/data")
        argv = [str(binaries / "initdb"), *_INITDB, *_LOCALE, *own]
        made = subprocess.run(
            argv, capture_output=True, text=True, user=user, extra_groups=[] if user else None, cwd=work, check=False
        )
        if made.returncode != 0:
            raise DevError(f"initdb failed: {(made.stderr or made.stdout).strip()[-800:]}")
        shutil.copytree(work / "data", folder / "data")
    (folder / "password").write_text(password, encoding="utf-8")
    (folder / "password").chmod(0o600)


def _version(path: Path) -> int:
    return int(path.parent.parent.name.split(".")[0])
