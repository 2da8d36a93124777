"""`kompensa engine`: the engine with its API, and its journal's migrations."""

import typer

app = typer.Typer(no_args_is_help=True, help="Run the engine; settings come from KOMPENSA_* variables.")


@app.command()
def serve() -> None:
    """Run the engine and its API until SIGTERM.

    KOMPENSA_JOURNAL_URL is the only variable that must be set (postgresql://user:password@host:port/database).
    """
    from kompensa.api.serve import serve as serve_engine

    serve_engine()


@app.command()
def migrate() -> None:
    """Bring the journal's tables to their newest version; `serve` does so as well."""
    from kompensa.api.serve import migrate as migrate_journal

    applied = migrate_journal()
    typer.echo(f"applied {', '.join(applied)}" if applied else "nothing to apply: the journal is at the newest version")
