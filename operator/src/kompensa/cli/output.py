"""Prints results: a table for people, JSON or YAML for programs."""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer


class Form(StrEnum):
    """Output formats."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Form, typer.Option("--output", "-o", help="Output format.")]


def print_as(form: Form, found: Any, table: str) -> None:
    """Print the table, or the data behind it."""
    if form is Form.JSON:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif form is Form.YAML:
        import yaml

        typer.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True).rstrip())
    else:
        typer.echo(table)


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns as kubectl prints them: plain text that survives a pipe, no wrapping, no box."""
    lines = [list(header), *([cell or "-" for cell in row] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(header))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "\n".join("   ".join(line).rstrip() for line in padded)
