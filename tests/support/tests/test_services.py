"""Files that cannot read services/shop.txt name the same services."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from tests.support.services import SERVICES

ROOT = Path(__file__).parents[3]
LIBRARIES = {"common", "consumer", "eventstore", "kit"}
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]


def test_each_service_has_a_folder_and_each_folder_is_a_service_or_a_library() -> None:
    folders = {path.parent.name for path in (ROOT / "services").glob("*/pyproject.toml")}
    assert folders == {*SERVICES, *LIBRARIES}


def test_the_tools_of_the_workspace_know_every_service() -> None:
    contracts = {contract["name"]: contract for contract in PROJECT["importlinter"]["contracts"]}
    assert contracts["No service imports another"]["modules"] == list(SERVICES)
    assert set(SERVICES) <= set(contracts["kompensa_common imports none of our packages"]["forbidden_modules"])
    assert set(SERVICES) <= set(PROJECT["importlinter"]["root_packages"])
    assert set(SERVICES) <= set(PROJECT["ruff"]["lint"]["isort"]["known-first-party"])
    searched = PROJECT["mypy"]["mypy_path"].split(":")
    assert {f"$MYPY_CONFIG_FILE_DIR/services/{name}/src" for name in SERVICES} <= set(searched)


def test_the_chart_knows_every_service() -> None:
    template = (ROOT / "charts/shop/templates/_shop.tpl").read_text(encoding="utf-8")
    assert f"\n{' '.join(SERVICES)}\n" in template
    values = yaml.safe_load((ROOT / "charts/shop/values.yaml").read_text(encoding="utf-8"))
    assert set(values["services"]) == set(SERVICES)


def test_the_cluster_publishes_a_port_for_every_service_in_the_order_of_the_list() -> None:
    text = (ROOT / "manifests/kind/cluster.yaml").read_text(encoding="utf-8")
    ports = dict(re.findall(r"hostPort: ([0-9]+), .* # (\w+)", text))
    assert tuple(name for _, name in sorted(ports.items()) if name in SERVICES) == SERVICES
