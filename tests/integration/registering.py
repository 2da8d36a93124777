"""A saga of one step that registers a customer at a service `orders` of its own, next to those of the stack."""

from __future__ import annotations

import sys
from typing import Any

from kompensa_dev.demo.scene import CPF, Scene
from kompensa_dev.http import answers_ok
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.process import Process, Program
from kompensa_dev.stack import Stack
from tests.integration.engine_processes import EngineProcess
from tests.support.engine_world import NAMESPACE
from tests.support.http import call


def customer() -> dict[str, Any]:
    """The saga's input."""
    return Scene.new().customer("Ana Souza", CPF)


def start_orders(stack: Stack, name: str) -> tuple[Process, str]:
    """Start the service on the stack's database; return the process and its URL."""
    port = Ports().take(name)
    settings = {"DATABASE_URL": stack.logins.owner("orders").url, "HOST": HOST, "PORT": str(port)}
    orders = stack.run.start(Program(name=name, argv=[sys.executable, "-m", "orders", "serve"], environment=settings))
    url = f"http://{HOST}:{port}"
    orders.wait_ready(lambda: answers_ok(f"{url}/readyz"), what="/readyz answering ok", timeout=30)
    return orders, url


def declare(engine: EngineProcess, orders: str) -> None:
    """Declare the saga and its participant."""
    fields = customer()
    step = {
        "name": "register",
        "kind": "Retriable",
        "participantRef": {"name": "orders"},
        "action": {"http": {"path": "/customers", "body": {name: f"${{input.{name}}}" for name in fields}}},
    }
    base = f"{engine.url}/v1/namespaces/{NAMESPACE}"
    call("PUT", f"{base}/participants/orders", {"spec": {"url": orders}}).ok()
    schema = {"type": "object", "properties": {name: {} for name in fields}}
    call("PUT", f"{base}/definitions/register", {"spec": {"inputSchema": schema, "steps": [step]}}).ok()
