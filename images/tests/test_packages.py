"""As root on Debian, `prepare` installs missing packages; any other user is shown the exact command."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.setup import packages
from images.setup.errors import SetupError
from images.setup.packages import Need, is_debian_like
from images.setup.stages import Report
from images.tests.tools import Tools, printed

HELLO = Need("hello-world", "hello-program")
THERE = Need("always-there", "sh")
SHOWN = "apt-get install -y --no-install-recommends hello-world"
DEBIAN, UBUNTU, MINT, FEDORA = (
    'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n',
    "ID=ubuntu\nID_LIKE=debian\n",
    'ID=linuxmint\nID_LIKE="ubuntu debian"\n',
    'ID=fedora\nVARIANT="not debian"\n',
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Root on Debian; a test writes another os-release or becomes another user."""
    release = tmp_path / "os-release"
    release.write_text(DEBIAN)
    monkeypatch.setattr(packages, "OS_RELEASE", release)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return release


def test_nothing_is_done_when_nothing_is_missing(machine: Path, tools: Tools, report: Report) -> None:
    packages.ensure(report, [THERE])
    assert (tools.calls(), printed(report)) == ([], "")


def test_root_on_debian_installs_just_what_is_missing(machine: Path, tools: Tools, report: Report) -> None:
    tools.add("apt-get", 'test "$DEBIAN_FRONTEND" = noninteractive || test "$2" = --simulate')
    packages.ensure(report, [THERE, HELLO])
    assert tools.calls() == ["apt-get install --simulate hello-world", SHOWN]
    assert printed(report).rstrip().endswith("hello-world")


def test_lists_are_fetched_when_the_package_is_not_in_them(machine: Path, tools: Tools, report: Report) -> None:
    tools.add("apt-get", 'test "$2" != --simulate')
    packages.ensure(report, [HELLO])
    assert tools.calls() == ["apt-get install --simulate hello-world", "apt-get update", SHOWN]


def test_a_user_is_told_the_exact_command(
    machine: Path, tools: Tools, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.add("apt-get")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(SetupError) as told:
        packages.ensure(report, [HELLO])
    assert str(told.value) == f"missing: hello-world. On Debian or Ubuntu run: sudo {SHOWN}"
    assert tools.calls() == []


def test_root_elsewhere_is_told_what_is_missing(machine: Path, tools: Tools, report: Report) -> None:
    machine.write_text(FEDORA)
    with pytest.raises(SetupError, match="missing: hello-world"):
        packages.ensure(report, [HELLO])
    machine.unlink()
    with pytest.raises(SetupError, match="missing: hello-world"):
        packages.ensure(report, [HELLO])


def test_a_build_of_the_users_own_counts(machine: Path, tools: Tools, report: Report) -> None:
    tools.add("hello-program")
    packages.ensure(report, [HELLO])
    assert tools.calls() == []


def test_a_need_can_be_shown_by_a_file(tmp_path: Path) -> None:
    need = Need("postgresql-15", f"{tmp_path}/lib*/postgres")
    assert not need.is_met()
    (tmp_path / "lib64").mkdir()
    (tmp_path / "lib64/postgres").touch()
    assert need.is_met()


@pytest.mark.parametrize(("release", "like"), [(DEBIAN, True), (UBUNTU, True), (MINT, True), (FEDORA, False)])
def test_which_systems_have_apt(release: str, like: bool) -> None:
    assert is_debian_like(release) is like
