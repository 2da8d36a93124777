"""The command `kompensa`: its verbs, and those that installed distributions add."""

import typer

from kompensa.cli import apply, engine, lint, operator, sagas, trace, version, watch
from kompensa.cli.failures import PlainGroup
from kompensa.cli.plugins import add_commands

app = typer.Typer(
    name="kompensa",
    cls=PlainGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Run sagas and replicas, look at them and act on them.",
    epilog="Exit status: 0 done, 1 check failed or request rejected, 2 bad input, 3 server cannot be reached.",
)

app.add_typer(sagas.app, name="sagas", rich_help_panel="Look and act")
app.command(name="trace", rich_help_panel="Look and act")(trace.trace)
app.command(name="watch", rich_help_panel="Look and act")(watch.watch)
app.command(name="lint", rich_help_panel="Look and act")(lint.lint)
app.command(name="apply", rich_help_panel="Look and act")(apply.apply)
add_commands(app, panel="Try")
app.add_typer(engine.app, name="engine", rich_help_panel="Serve")
app.command(name="operator", rich_help_panel="Serve")(operator.operator)
app.command(name="version", rich_help_panel="Other")(version.version)
