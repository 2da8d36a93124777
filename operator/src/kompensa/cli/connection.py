"""Connects the verbs to the engine's API: its URL and its token."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from kompensa.cli.failures import BAD_INPUT, CommandError
from kompensa_common.problems import NAMESPACE

if TYPE_CHECKING:
    from kompensa.client.engine_client import EngineClient

DEFAULT_URL = "http://127.0.0.1:18080"
KUBE_SECONDS = 5.0

# How any server, a service of the shop among them, refuses a path that it does not have.
_OF_ANY_SERVER = ("", "not-found", "method-not-allowed")

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
        help="Bearer token; by default the cluster's own, if your kubeconfig may read its Secret.",
        show_default=False,
        rich_help_panel="Connection",
    ),
]
T = TypeVar("T")


def with_engine(url: str, token: str, work: "Callable[[EngineClient], Awaitable[T]]") -> T:
    """Run `work` with a client of the engine.

    A token is looked for in the cluster only after the engine has asked for one: a local stack needs none.

    Raises
    ------
    CommandError
        If `url` is not a URL, or not that of an engine, or the engine rejects the token.
    """
    import asyncio

    from kompensa.client.engine_client import EngineClient, EngineProblemError, TokenRefusedError

    address = _address(url)

    async def run(chosen: str) -> T:
        async with EngineClient.connect(url, chosen or None) as client:
            return await work(client)

    try:
        try:
            return asyncio.run(run(token))
        except TokenRefusedError:
            found = None if token else asyncio.run(_token_of_cluster())
            if not found:
                raise
            return asyncio.run(run(found))
    except TokenRefusedError:
        wrong = "rejects this token: check" if token else "asks for a token: give it with"
        raise CommandError(
            f"the engine at {address} {wrong} --token or KOMPENSA_TOKEN; a cluster keeps it in its Secret kompensa-api"
        ) from None
    except EngineProblemError as problem:
        if problem.slug in _OF_ANY_SERVER or not str(problem.members.get("type")).startswith(NAMESPACE):
            raise CommandError(
                f"{address} answers, but is not a Kompensa API ({problem.detail or problem.status}): "
                f"give the engine's URL with --api or KOMPENSA_API_URL, for example {DEFAULT_URL}",
                status=BAD_INPUT,
            ) from None
        raise


def _address(url: str) -> str:
    """The URL as it may be shown, once it is seen to be one."""
    from kompensa_common.addresses import fault_of_url, without_login

    address, _ = without_login(url)
    if not address.lower().startswith(("http://", "https://")) or fault_of_url(address) is not None:
        raise CommandError(f"--api: {address!r} is not a URL (expected for example {DEFAULT_URL})", status=BAD_INPUT)
    return address


async def _token_of_cluster() -> str | None:
    from kompensa.cluster.access import token_of_cluster, use_own_kubeconfig
    from kompensa.cluster.kube import Kube, KubeError

    use_own_kubeconfig()
    try:
        async with Kube.connect(timeout=KUBE_SECONDS) as kube:
            return await token_of_cluster(kube)
    except KubeError:
        return None  # no kubeconfig: then the engine's own refusal is what the user should read
