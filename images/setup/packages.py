"""Debian packages: installed when root on Debian or Ubuntu, otherwise named with the command to run."""

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from images.setup.commands import output_of
from images.setup.errors import SetupError
from images.setup.stages import Report

OS_RELEASE = Path("/etc/os-release")


@dataclass(frozen=True)
class Need:
    """A package, and the file or program whose presence shows that it (or the user's own build of it) is there."""

    package: str
    shown_by: str

    def is_met(self) -> bool:
        if self.shown_by.startswith("/"):
            return any(Path("/").glob(self.shown_by.lstrip("/")))
        return shutil.which(self.shown_by, path=search_path()) is not None


VENV = Need("python3-venv", "/usr/lib/python3*/ensurepip")
POSTGRESQL = Need("postgresql-15", "/usr/lib/postgresql/15/bin/postgres")
PGBOUNCER = Need("pgbouncer", "pgbouncer")
JAVA = Need("openjdk-17-jre-headless", "java")
MAVEN = Need("maven", "mvn")
PODMAN = (
    Need("podman", "podman"),
    Need("buildah", "buildah"),
    Need("runc", "runc"),
    Need("iptables", "iptables"),
    Need("containernetworking-plugins", "/usr/lib/cni/bridge"),
)
STRIP = Need("binutils", "strip")
NODE_BUILD = (Need("mmdebstrap", "mmdebstrap"), Need("gcc", "cc"), Need("libc6-dev", "/usr/include/stdlib.h"))


def search_path() -> str:
    """PATH with the folders of system programs, which a plain user's PATH leaves out."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def missing(needs: Iterable[Need]) -> list[str]:
    """Packages whose file or program is not on this machine."""
    return [need.package for need in needs if not need.is_met()]


def install_command(packages: list[str]) -> list[str]:
    return ["apt-get", "install", "-y", "--no-install-recommends", *packages]


def is_debian_like(os_release: str) -> bool:
    """Whether the text of /etc/os-release is of Debian, Ubuntu or something derived from them."""
    fields = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    names = f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".replace('"', "").split()
    return "debian" in names or "ubuntu" in names


def can_install() -> bool:
    return os.geteuid() == 0 and OS_RELEASE.exists() and is_debian_like(OS_RELEASE.read_text(encoding="utf-8"))


def ensure(report: Report, needs: Iterable[Need]) -> None:
    """Install what is missing, or say what to run.

    Raises
    ------
    SetupError
        When something is missing and this user or system cannot install it with apt.
    """
    packages = missing(needs)
    if not packages:
        return
    command = install_command(packages)
    if not can_install():
        raise SetupError(f"missing: {', '.join(packages)}. On Debian or Ubuntu run: sudo {' '.join(command)}")
    with report.stage("system packages", quiet_apt()) as stage:
        if output_of(["apt-get", "install", "--simulate", *packages]) is None:
            stage.runner.run(["apt-get", "update"])
        stage.runner.run(command)
        stage.note = " ".join(packages)


def quiet_apt() -> Mapping[str, str]:
    return {"DEBIAN_FRONTEND": "noninteractive"}
