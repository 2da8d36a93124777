"""`kompensa version`."""

from importlib.metadata import version as version_of

import typer


def version() -> None:
    """Print the version of this command."""
    typer.echo(version_of("kompensa"))
