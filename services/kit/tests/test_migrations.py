"""Which revisions a service's code knows, and which it can work with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from kompensa_participant.migrations import config
from kompensa_participant.revisions import is_behind, revisions
from tests.support.services import SERVICES

KNOWN = ("0001", "0002", "0003")


@pytest.mark.parametrize(
    ("found", "behind"), [(None, True), ("0001", True), ("0002", True), ("0003", False), ("0004", False)]
)
def test_a_schema_is_behind_when_the_code_knows_a_later_revision(found: str | None, behind: bool) -> None:
    assert is_behind(found, KNOWN) is behind


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_ships_its_revisions_in_the_order_of_alembic(service: str) -> None:
    found = revisions(service)
    assert found[0] == "0001"
    assert found[::-1] == tuple(each.revision for each in ScriptDirectory.from_config(config(service)).walk_revisions())


def test_a_service_without_a_package_is_told_so() -> None:
    with pytest.raises(LookupError, match="no package nowhere"):
        revisions("nowhere")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a folder `migrations`."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"coupons_{tmp_path.name}/migrations").mkdir(parents=True)
    (tmp_path / f"coupons_{tmp_path.name}/__init__.py").touch()
    return f"coupons_{tmp_path.name}"


def write(folder: Path, package: str, *migrations: str) -> None:
    for number, text in enumerate(migrations):
        (folder / package / f"migrations/{number}.py").write_text(text)


def test_revisions_follow_each_other_by_what_they_name(tmp_path: Path, package: str) -> None:
    annotated = 'revision: str = "b"\ndown_revision: str | None = "a"\n'
    write(
        tmp_path, package, 'revision = "c"\ndown_revision = "b"\n', annotated, 'revision = "a"\ndown_revision = None\n'
    )
    assert revisions(package) == ("a", "b", "c")


@pytest.mark.parametrize(
    ("migrations", "named"),
    [
        ([], "no migrations"),
        (['revision = "a"\n'], "down_revision"),
        (['revision = "a"\ndown_revision = ("b", "c")\n'], "down_revision"),
        (['revision = "a"\ndown_revision = None\n', 'revision = "b"\ndown_revision = None\n'], "one line"),
        (['revision = "a"\ndown_revision = None\n', 'revision = "c"\ndown_revision = "b"\n'], "one line"),
        (['revision = "a"\ndown_revision = "a"\n'], "one line"),
    ],
)
def test_revisions_that_form_no_line_are_refused(
    tmp_path: Path, package: str, migrations: list[str], named: str
) -> None:
    write(tmp_path, package, *migrations)
    with pytest.raises(LookupError, match=named):
        revisions(package)


def test_an_application_is_made_without_the_tools_of_migrations() -> None:
    check = (
        "import sys, orders.app; from kompensa_participant.settings import Settings;"
        " orders.app.service.app(Settings(database_url='postgresql://nowhere'));"
        " assert not {'alembic', 'sqlalchemy', 'mako'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)
