"""The reference shop as local processes: names, databases, command lines. Starting them is stack.py's work."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kompensa_dev.checkout import checkout
from kompensa_dev.ports import HOST
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.process import Program

SERVICES = tuple((checkout() / "services/shop.txt").read_text(encoding="utf-8").split())
"""In the order of their ports."""
PUBLISHERS = ("orders", "inventory", "payments", "invoices", "shipping", "catalog")
SHARED_DATABASE = "shop"
Isolation = Literal["instance", "schema"]


@dataclass(frozen=True)
class Logins:
    """Logins by the name that the cluster's Secret has: `orders-postgres`, `orders-serving`, `orders-capture`, ..."""

    by_secret: Mapping[str, Login]

    def owner(self, service: str) -> Login:
        return self.by_secret[f"{service}-postgres"]

    def serving(self, service: str) -> Login:
        return self.by_secret[f"{service}-serving"]

    def capture(self, service: str) -> Login | None:
        return self.by_secret.get(f"{service}-capture")


def create_logins(server: PostgresServer, isolation: Isolation) -> Logins:
    """A database per service, or a schema per service in a shared one; each with a role that migrates and one that
    serves."""
    if isolation == "schema":
        server.create_database(SHARED_DATABASE)
    made: dict[str, Login] = {}
    for service in SERVICES:
        login = (
            server.create_schema(SHARED_DATABASE, service) if isolation == "schema" else server.create_database(service)
        )
        made[f"{service}-postgres"] = login
        made[f"{service}-serving"] = server.create_serving_role(login.database, name=f"{service}_serving")
        if service in PUBLISHERS:
            made[f"{service}-capture"] = server.create_capture_role(login.database, name=f"{service}_capture")
    return Logins(made)


def migrate_program(service: str, logins: Logins) -> Program:
    """Brings the service's schema to its newest version, and ends."""
    capture = logins.capture(service)
    environment = {
        "DATABASE_URL": logins.owner(service).url,
        "CAPTURE_ROLE": capture.username if capture else "",
        "SERVING_ROLE": logins.serving(service).username,
    }
    argv = [sys.executable, "-m", service, "migrate"]
    return Program(name=f"{service}-migrate", argv=argv, environment=environment)


def serve_program(service: str, logins: Logins, *, callers: Path, port: int, faults: bool, kafka: str = "") -> Program:
    """The service itself. `callers`: the folder with its callers' tokens. With `kafka`, it also reacts to events."""
    environment = {
        "DATABASE_URL": logins.serving(service).url,
        "HOST": HOST,
        "PORT": str(port),
        "FAULTS_ENABLED": str(faults).lower(),
        "CALLER_TOKENS_DIR": str(callers),
        "KOMPENSA_KAFKA": kafka,
    }
    return Program(name=service, argv=[sys.executable, "-m", service, "serve"], environment=environment)
