"""An image's tag is a key over its inputs: a change rebuilds the images made from it, and no others."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from images.setup import bundles, jars, recipes, requirements, venv
from images.setup.bundles import Bundle
from images.setup.shop import SERVICES
from images.setup.versions import CHECKOUT, IMAGES

PYTHON_IMAGES = {"python", "postgres", "kompensa", *SERVICES}
EVERYTHING = frozenset(recipes.RECIPES)

# Walking the installed packages takes half a second an image, and the answer does not depend on the copied checkout.
needed = functools.cache(Bundle.requirements)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the checkout's inputs that a test may change; its environment is the real one, linked."""
    copy = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", "tests", "*.egg-info")
    for folder in ("images", "operator", "cdc", "services"):
        shutil.copytree(CHECKOUT / folder, copy / folder, ignore=ignored)
    monkeypatch.setattr(recipes, "IMAGES", copy / "images")
    monkeypatch.setattr(jars, "IMAGES", copy / "images")
    monkeypatch.setattr(bundles, "CHECKOUT", copy)
    monkeypatch.setattr(Bundle, "requirements", lambda bundle: needed(bundle))
    return copy


def tags(debian: str = "debian:1") -> Mapping[str, str]:
    return recipes.tags(recipes.with_parents(tuple(recipes.RECIPES)), debian)


def append(path: str) -> Callable[[Path], None]:
    def change(checkout: Path) -> None:
        with (checkout / path).open("a") as file:
            file.write("\n# changed\n")

    return change


def test_the_same_inputs_have_the_same_tags(checkout: Path) -> None:
    assert tags() == tags()
    assert len(set(tags().values())) == len(recipes.RECIPES)


@pytest.mark.parametrize(
    ("change", "rebuilt"),
    [
        (append("images/python/Containerfile"), PYTHON_IMAGES),
        (append("images/jre/Containerfile"), {"jre", "kafka", "connect"}),
        (append("images/postgres/entrypoint.py"), {"postgres"}),
        (append("images/kafka/log4j2.xml"), {"kafka"}),
        (append("images/debezium/pom.xml"), {"kafka", "connect"}),
        (append("images/service/Containerfile"), set(SERVICES)),
        (append("services/kit/src/kompensa_participant/service.py"), set(SERVICES)),
        (append("services/eventstore/src/kompensa_eventstore/store.py"), {"orders"}),
        (append("services/consumer/src/kompensa_consumer/loop.py"), {"kompensa", *SERVICES}),
        (append("services/common/src/kompensa_common/durations.py"), {"kompensa", *SERVICES}),
        (append("services/orders/src/orders/app.py"), {"orders"}),
        (append("operator/src/kompensa/model/transition.py"), {"kompensa"}),
        (append("cdc/pyproject.toml"), {"kompensa"}),
        (append("images/versions.toml"), set()),
        (append("images/setup/recipes.py"), set()),
    ],
)
def test_a_change_rebuilds_what_stands_on_it(checkout: Path, change: Callable[[Path], None], rebuilt: set[str]) -> None:
    before = tags()
    change(checkout)
    after = tags()
    assert {name for name in after if after[name] != before[name]} == rebuilt


def test_another_debian_rebuilds_everything(checkout: Path) -> None:
    one, other = tags("debian:1"), tags("debian:2")
    assert {name for name in one if one[name] != other[name]} == EVERYTHING


def test_a_pinned_dependency_rebuilds_only_those_that_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = recipes.with_parents(("kompensa", "orders"))
    before = recipes.tags(chosen, "debian:1")
    lock = dict(requirements.read_lock())
    lock["kopf"] += "    --hash=sha256:another\n"
    monkeypatch.setattr("images.setup.bundles.read_lock", lambda: lock)
    after = recipes.tags(chosen, "debian:1")
    assert {name for name in after if after[name] != before[name]} == {"kompensa"}


def test_what_runs_in_pods_holds_no_tool_of_the_workshop() -> None:
    """pytest, mypy and the like are pinned in the same lock and must not get into an image."""
    for recipe in recipes.RECIPES.values():
        if recipe.bundle:
            held = needed(recipe.bundle)
            assert not [name for name in ("pytest", "mypy", "ruff", "hypothesis", "uv") if f"\n{name}==" in f"\n{held}"]
            assert "psycopg" in held


def test_no_image_holds_the_local_stack_or_the_demo() -> None:
    for recipe in recipes.RECIPES.values():
        assert "kompensa-dev" not in (recipe.bundle.distributions if recipe.bundle else ())


def test_parents_come_first_and_once() -> None:
    ordered = [recipe.name for recipe in recipes.with_parents(("orders", "invoices", "kafka"))]
    assert ordered == ["python", "orders", "invoices", "jre", "kafka"]


def test_every_recipe_has_its_files_and_every_service_its_distribution() -> None:
    for recipe in recipes.RECIPES.values():
        assert (IMAGES / recipe.folder / "Containerfile").exists(), recipe.name
        for distribution in recipe.bundle.distributions if recipe.bundle else ():
            assert distribution in venv.DISTRIBUTIONS
