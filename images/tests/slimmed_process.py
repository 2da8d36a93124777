"""A process without the modules that images leave out: it imports ours, and uses a cluster's client and CEL."""

# ruff: noqa: E402, F401 -- the modules have to be missing before anything is imported, and importing is the test

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from images.setup.slim import UNUSED


class LeftOut(MetaPathFinder):
    """Finds no module of the packages that are left out."""

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if name.rpartition(".")[0] in UNUSED:
            raise ModuleNotFoundError(name)
        return None


sys.meta_path.insert(0, LeftOut())

import asyncio

from kubernetes.aio.client import ApiClient, Configuration

import kompensa.api.serve
import kompensa.handlers.main
import kompensa_cdc.main
from kompensa.cluster.kube import Kube, UnavailableError
from kompensa.cluster.resources import SAGAS
from kompensa.model.expressions import Scope, Template


async def ask_a_cluster() -> None:
    client = ApiClient(Configuration(host="http://127.0.0.1:9"))
    try:
        await Kube(client).get(SAGAS, "shop", "one")
    except UnavailableError:
        print("asked")
    finally:
        await client.close()  # type: ignore[no-untyped-call]


asyncio.run(ask_a_cluster())
print(Template("${input.map(i, i.size()).filter(n, n > 1).size()}").render(Scope({"input": ["a", "bc"]})))
