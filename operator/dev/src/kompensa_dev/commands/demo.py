"""`kompensa demo`: the five stages on a cluster."""

from typing import Annotated

import typer


def demo(
    namespace: Annotated[str, typer.Option(help="Namespace of the shop.")] = "shop",
    system_namespace: Annotated[str, typer.Option(help="Namespace of the engine.")] = "kompensa-system",
) -> None:
    """Place an order, undo two, kill the engine in the middle of others, copy a customer: on the cluster of `make up`.

    The cluster is that of KUBECONFIG; the services are reached on the loopback ports that it publishes.
    """
    from kompensa_dev.demo.cluster import run_on_cluster

    run_on_cluster(namespace=namespace, system_namespace=system_namespace)
