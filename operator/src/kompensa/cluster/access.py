"""The way into a cluster from a person's machine: which kubeconfig, and the API's token."""

import os

from kompensa.cluster.kube import Kube, KubeError
from kompensa.cluster.secrets import SecretError, read_key
from kompensa_common.cache import cache_folder

SYSTEM_NAMESPACE = "kompensa-system"
TOKEN_SECRET, TOKEN_KEY = "kompensa-api", "token"


def use_own_kubeconfig() -> None:
    """Point KUBECONFIG at the cluster that `make up` made, unless it is set."""
    own = cache_folder() / "state" / "kubeconfig"
    if own.exists():
        os.environ.setdefault("KUBECONFIG", str(own))


async def token_of_cluster(kube: Kube, system_namespace: str = SYSTEM_NAMESPACE) -> str | None:
    """The API's token, or None when there is none or we may not read it."""
    try:
        return await read_key(kube, system_namespace, TOKEN_SECRET, TOKEN_KEY)
    except (SecretError, KubeError):
        return None
