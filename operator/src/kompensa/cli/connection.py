"""Where the engine's API is and how to get in."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from kompensa.cluster.engine_client import EngineClient

DEFAULT_URL = "http://127.0.0.1:18080"
KUBE_SECONDS = 5.0

ApiUrl = Annotated[
    str,
    typer.Option(
        "--api", envvar="KOMPENSA_API_URL", help="Base URL of the engine's API.", rich_help_panel="Connection"
    ),
]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="KOMPENSA_TOKEN",
        help="Bearer token; by default the cluster's own, when your kubeconfig may read its Secret.",
        show_default=False,
        rich_help_panel="Connection",
    ),
]
T = TypeVar("T")


def with_engine(url: str, token: str, work: "Callable[[EngineClient], Awaitable[T]]") -> T:
    """Run `work` with a client of the engine.

    A token is looked for in the cluster only after the engine has asked for one: a local stack needs none.
    """
    import asyncio

    from kompensa.cluster.engine_client import EngineClient, EngineUnreachableError

    async def run(chosen: str) -> T:
        async with EngineClient.connect(url, chosen or None) as client:
            return await work(client)

    try:
        return asyncio.run(run(token))
    except EngineUnreachableError as error:
        found = None if token or "token" not in str(error) else asyncio.run(_token_of_cluster())
        if not found:
            raise
        return asyncio.run(run(found))


async def _token_of_cluster() -> str | None:
    from kompensa.cluster.kube import Kube, KubeError
    from kompensa.dev.cluster_access import token_of_cluster, use_own_kubeconfig

    use_own_kubeconfig()
    try:
        async with Kube.connect(timeout=KUBE_SECONDS) as kube:
            return await token_of_cluster(kube)
    except KubeError:
        return None  # no kubeconfig: then the engine's own refusal is what the user should read
