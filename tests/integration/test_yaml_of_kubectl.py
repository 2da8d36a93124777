"""The golden files of the YAML reader are what this version of kubectl makes of them."""

import json
from pathlib import Path

import pytest

from tests.integration.apiserver import ApiServer

GOLDEN = Path(__file__).parents[2] / "operator/tests/manifests/golden"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_kubectl_reads_the_golden_files_as_recorded(apiserver: ApiServer, path: Path) -> None:
    read = apiserver.kubectl("annotate", "--local", "--dry-run=client", "-f", str(path), "kubectl-", "-o", "json")
    assert json.loads(read) == json.loads(path.with_suffix(".json").read_text())
