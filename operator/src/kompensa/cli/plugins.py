"""Verbs of other distributions: each is an entry point of the group `kompensa.commands`, a function for typer."""

from collections.abc import Callable
from importlib.metadata import entry_points

import typer

from kompensa.cli.failures import BAD_INPUT, CommandError

GROUP = "kompensa.commands"
KNOWN = {"demo": "kompensa-dev", "dev": "kompensa-dev"}
"""Verbs that users read about, and the distribution that brings each."""
_ANY_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def add_commands(app: typer.Typer, *, panel: str) -> None:
    """Add the verbs of all installed distributions, and a hint for each known verb that is missing."""
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    for name in sorted(found.keys() | KNOWN.keys()):
        if name in found:
            app.command(name=name, rich_help_panel=panel)(found[name].load())
        else:
            hint = app.command(name=name, rich_help_panel=panel, context_settings=_ANY_ARGUMENTS)
            hint(_missing(name, KNOWN[name]))


def _missing(name: str, distribution: str) -> Callable[[], None]:
    def missing() -> None:
        raise CommandError(
            f"`kompensa {name}` comes with the distribution {distribution}, which is not installed: "
            f"install it next to kompensa, for example with `make venv` in a checkout",
            status=BAD_INPUT,
        )

    missing.__doc__ = f"Not installed: comes with the distribution {distribution}."
    return missing
