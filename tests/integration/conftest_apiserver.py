"""Fixtures around a real API server.

apiserver   ApiServer with the chart's CRDs: apply(...), get(...), writes(...), stop_serving(), start()
namespace   a fresh one for each test
scene       Scene: objects in that namespace, a participant, a running engine and operator
"""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kompensa.cluster.kube import Kube
from kompensa_dev.ports import Ports
from kompensa_dev.postgres import PostgresServer
from kompensa_dev.run import Run
from tests.integration.apiserver import ADMIN, ApiServer, built
from tests.integration.operator_processes import OperatorProcesses
from tests.integration.operator_scene import Scene
from tests.integration.stub_participant import StubParticipant

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


@pytest.fixture(scope="session")
def operator_processes(run: Run, apiserver: ApiServer, postgres: PostgresServer, ports: Ports) -> OperatorProcesses:
    """One engine and one operator for the session; `scene` sees to it that they run."""
    return OperatorProcesses(run, apiserver, postgres.create_database("operator_journal").url, ports)


@pytest.fixture
async def scene(
    operator_processes: OperatorProcesses,
    apiserver: ApiServer,
    namespace: str,
    ports: Ports,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Scene]:
    """A namespace with a Participant, watched by a running operator."""
    operator_processes.ensure()
    monkeypatch.setenv("KUBECONFIG", str(apiserver.kubeconfig(ADMIN)))
    async with Kube.connect() as kube, StubParticipant.serving(ports.take("participant")) as participant:
        scene = Scene(kube, operator_processes, namespace, participant)
        await scene.create_participant("stub")
        yield scene
