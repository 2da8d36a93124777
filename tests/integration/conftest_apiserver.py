"""Fixtures around a real API server: `apiserver`, with the CRDs of the chart, and `namespace`, fresh for each test."""

import secrets
from pathlib import Path

import pytest

from kompensa.dev.ports import Ports
from kompensa.dev.run import Run
from tests.integration.apiserver import ApiServer, built

CRDS = Path(__file__).parents[2] / "charts/kompensa/files/crds"


@pytest.fixture(scope="session")
def ports() -> Ports:
    """Free loopback ports, each given out once."""
    return Ports()


@pytest.fixture(scope="session")
def apiserver(run: Run, ports: Ports) -> ApiServer:
    """An API server that serves our kinds; ended with the run."""
    server = built(run, ports)
    server.start()
    server.kubectl("apply", "--server-side", "-f", str(CRDS))
    server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    return server


@pytest.fixture
def namespace(apiserver: ApiServer) -> str:
    """A namespace of the test's own. There is no controller that would empty it, so its objects stay until the end."""
    name = f"test-{secrets.token_hex(4)}"
    apiserver.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
