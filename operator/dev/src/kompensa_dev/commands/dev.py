"""`kompensa dev`: the whole system as local processes."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

PORT_BASE = 18080


class Isolation(StrEnum):
    """How services share PostgreSQL."""

    INSTANCE = "instance"
    SCHEMA = "schema"


def dev(
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Run the five stages of the demo first.")] = True,
    stay: Annotated[bool, typer.Option("--stay/--exit", help="Stay up until Ctrl-C, or end after the demo.")] = True,
    services_only: Annotated[
        bool, typer.Option("--services-only", help="Engine and services, without Kafka, Connect and copies; no demo.")
    ] = False,
    file: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", help="Further YAML files with your own objects."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Apply YAML again when a file changes.")] = False,
    isolation: Annotated[
        Isolation, typer.Option(help="A database a service, or a schema a service.")
    ] = Isolation.INSTANCE,
    faults: Annotated[bool, typer.Option("--faults", help="Services obey the header Kompensa-Fault.")] = False,
    port_base: Annotated[
        int, typer.Option(min=1024, max=64000, help="The API's port; the others follow it.")
    ] = PORT_BASE,
    keep: Annotated[
        Path | None, typer.Option(help="Keep all data in this folder and go on from them next time.")
    ] = None,
) -> None:
    """Start PostgreSQL, Kafka, Connect with Debezium, the services and the engine here, without a cluster.

    Everything listens on loopback, lives in one temporary folder, and is gone after Ctrl-C.

    Examples: kompensa dev --no-demo -f my-participant.yaml --watch
    """
    from kompensa_dev.options import StackOptions
    from kompensa_dev.session import run_session

    options = StackOptions(
        port_base=port_base,
        isolation="schema" if isolation is Isolation.SCHEMA else "instance",
        backbone=not services_only,
        faults=faults,
        files=tuple(file or ()),
    )
    run_session(options, demo=demo and not services_only, stay=stay, watch=watch, keep=keep)
