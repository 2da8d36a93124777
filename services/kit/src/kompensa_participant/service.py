"""A service from its parts: name, routes and migrations give an application and the two commands of its process.

service = Service(name="inventory", title="Inventory", routers=[router])

if __name__ == "__main__":
    service.main()          # python3 -m inventory serve | migrate
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI
from psycopg import Error
from psycopg_pool import AsyncConnectionPool

from kompensa_common.logs import log_as_json
from kompensa_common.sessions import PoolerError, Session, Sessions
from kompensa_common.tracing import Spans, TracingSettingsError, spans_of_environment
from kompensa_participant import background, docs, errors, openapi, probes
from kompensa_participant.body_limit import BodyLimit
from kompensa_participant.callers.access import EVERY_SERVICE, AccessTable, Allow
from kompensa_participant.callers.check import CallerCheck
from kompensa_participant.callers.tokens import TokenFiles
from kompensa_participant.middleware import RequestEdge
from kompensa_participant.reactions import Reactions
from kompensa_participant.revisions import revisions
from kompensa_participant.server_spans import ServerSpans
from kompensa_participant.settings import Settings, SettingsError, from_environment, last_line

if TYPE_CHECKING:
    from kompensa_participant.projections import Projected
    from kompensa_participant.reactions.consumer import ReactionsConsumer

log = structlog.get_logger()

POOL_TIMEOUT = 2.0
POOL_WAITING = 200
RECONNECT_SECONDS = 5.0  # then each request tries again, so that a database that is back is used at once
CONNECT_TIMEOUT = 3
SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "5s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "30s",  # a process that is paused must not hold its locks forever
}
GRACE = 20


@dataclass(frozen=True, kw_only=True)
class Service:
    """A participant. `name` is also its import package and its PostgreSQL schema.

    `access` says which caller may use which of the routers' routes. Each route must be in one row.
    """

    name: str
    title: str
    description: str = ""
    version: str = "0.1.0"
    routers: Sequence[APIRouter] = field(default_factory=tuple)
    access: Sequence[Allow] = ()
    background: Sequence[background.Background] = field(default_factory=tuple)
    projections: Sequence[Projected] = ()
    reactions: Reactions | None = None

    def app(self, settings: Settings, spans: Spans | None = None) -> FastAPI:
        """The application, with the pool opened for as long as it runs. With `spans`, each request is one.

        Raises
        ------
        SettingsError
            If `access` does not fit the routes, or the folder of tokens cannot be read.
        """

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            async with (
                self._pool(settings) as pool,
                background.running(self.background, pool),
                projecting,
                self._reacting(app),
            ):
                app.state.pool = pool
                yield
            if spans is not None:
                await asyncio.to_thread(spans.close)

        app = FastAPI(
            title=self.title,
            description=self.description,
            version=self.version,
            lifespan=lifespan,
            docs_url=None,
            redoc_url=None,
            responses=openapi.PROBLEM_RESPONSE,
        )
        app.state.faults_enabled = settings.faults_enabled
        app.state.revisions = revisions(self.name)
        errors.install(app)
        docs.install(app)
        for router in (*self.routers, probes.router):
            app.include_router(router)
        projecting = self._projecting(app, settings)
        app.state.reactions = self._reactions_consumer(app, settings, spans)
        app.add_middleware(BodyLimit)  # each layer is around those before it
        self._check_callers(app, settings)
        app.add_middleware(RequestEdge)
        if spans is not None:
            app.add_middleware(ServerSpans, spans=spans)
        return app

    def _projecting(self, app: FastAPI, settings: Settings) -> AbstractAsyncContextManager[None]:
        """Add the route of the projections' state, and return the context in which they run."""
        app.state.projections = None
        if not self.projections:
            return nullcontext()
        # Only a service with projections needs the event store.
        from kompensa_participant.projections import routes, running  # noqa: PLC0415

        app.include_router(routes.router)
        runners = running.RunningProjections(self.projections, self._sessions(settings).connect, schema=self.name)
        app.state.projections = runners
        return runners.running()

    def _check_callers(self, app: FastAPI, settings: Settings) -> None:
        table = AccessTable(app, (*self.access, *EVERY_SERVICE))
        if settings.caller_tokens_dir is not None:
            tokens = TokenFiles(Path(settings.caller_tokens_dir), table.callers)
            app.add_middleware(CallerCheck, table=table, tokens=tokens, realm=self.name)
            openapi.describe_tokens(app, table)

    def _reactions_consumer(self, app: FastAPI, settings: Settings, spans: Spans | None) -> ReactionsConsumer | None:
        """Return what runs the reactions, and add its endpoints; None if there are none, or no Kafka."""
        if self.reactions is None or not self.reactions.topics:
            return None
        # Only a service with reactions loads the Kafka client.
        from kompensa_participant.reactions import consumer, routes  # noqa: PLC0415

        app.include_router(routes.router)
        if settings.kafka is None:
            log.info("the reactions do not run: KOMPENSA_KAFKA is not set", topics=self.reactions.topics)
            return None
        return consumer.ReactionsConsumer(
            self.reactions.prefixed(settings.topic_prefix),
            service=self.name,
            database_url=settings.database_url,
            bootstrap=settings.kafka,
            group=settings.reactions_group,
            spans=spans,
        )

    @staticmethod
    def _reacting(app: FastAPI) -> AbstractAsyncContextManager[None]:
        consumer: ReactionsConsumer | None = app.state.reactions
        return consumer.running() if consumer is not None else nullcontext()

    def _pool(self, settings: Settings) -> AsyncConnectionPool[Session]:
        sessions = self._sessions(settings)
        return AsyncConnectionPool(
            settings.database_url,
            connection_class=Session,
            min_size=settings.pool_min,
            max_size=settings.pool_max,
            timeout=POOL_TIMEOUT,
            max_waiting=POOL_WAITING,
            reconnect_timeout=RECONNECT_SECONDS,
            open=False,
            check=AsyncConnectionPool.check_connection,
            configure=sessions.settle,
            kwargs=sessions.arguments,
        )

    def _sessions(self, settings: Settings) -> Sessions:
        arguments = {"connect_timeout": CONNECT_TIMEOUT, "application_name": self.name}
        return Sessions(settings.database_url, settings={"search_path": self.name, **SETTINGS}, arguments=arguments)

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """The process: `serve`, `migrate`, or a command on projections or on the events of reactions."""
        chosen = self._parser().parse_args(arguments)
        try:
            settings = from_environment()
            log_as_json(settings.log_level, service=self.name)
            if chosen.verb == "serve":
                self._serve(settings)
            elif chosen.verb == "migrate":
                self._migrate(chosen.wait, settings)
            elif chosen.verb == "projections":
                self._command_projections(chosen, settings)
            else:
                from kompensa_participant.reactions import commands  # noqa: PLC0415 - it loads the Kafka client

                commands.run(chosen, settings, schema=self.name)
        except SettingsError as error:
            sys.exit(f"{self.name}: {error}")

    def _parser(self) -> argparse.ArgumentParser:
        parser = argparse.ArgumentParser(
            prog=f"python3 -m {self.name}", description=f"{self.title}. Settings come from the environment."
        )
        names = ["serve", "migrate"]
        names += ["projections"] if self.projections else []
        names += ["events"] if self.reactions else []
        verbs = parser.add_subparsers(dest="verb", required=True, metavar=" | ".join(names))
        verbs.add_parser("serve", help="answer requests until SIGTERM")
        migrate = verbs.add_parser("migrate", help="bring the schema to the version that this code needs")
        migrate.add_argument(
            "--wait",
            type=float,
            default=0.0,
            metavar="SECONDS",
            help="how long to go on asking while the database or a role is not there yet (default: not at all)",
        )
        if self.projections:
            from kompensa_participant.projections import commands  # noqa: PLC0415 - see _projecting

            commands.add_parser(verbs)
        if self.reactions is not None:
            from kompensa_participant.reactions import commands as event_commands  # noqa: PLC0415 - the Kafka client

            event_commands.add_parser(verbs)
        return parser

    def _command_projections(self, chosen: argparse.Namespace, settings: Settings) -> None:
        from kompensa_participant.projections import commands  # noqa: PLC0415 - see _projecting

        commands.run(chosen, self.projections, self._sessions(settings).connect, schema=self.name)

    def _serve(self, settings: Settings) -> None:
        """Serve until a signal to stop; requests in flight are finished within the grace time."""
        if settings.caller_tokens_dir is None:
            log.warning("callers are not checked, because CALLER_TOKENS_DIR is not set")
        asyncio.run(self._require_transactions(settings))
        uvicorn.run(
            self.app(settings, self._spans()),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE,
        )

    async def _require_transactions(self, settings: Settings) -> None:
        """Reject statement mode. If the database does not answer yet, go on: requests try again."""
        try:
            await (await self._sessions(settings).connect()).close()
        except PoolerError as error:
            raise SettingsError(f"cannot serve, DATABASE_URL: {error}") from None
        except Error as error:
            log.warning("the database does not answer yet", reason=last_line(error))

    def _spans(self) -> Spans | None:
        try:
            return spans_of_environment(self.name)
        except TracingSettingsError as error:
            raise SettingsError(str(error)) from None

    def _migrate(self, seconds: float, settings: Settings) -> None:
        from kompensa_participant.migrate_command import migrate_within  # noqa: PLC0415 - serving needs no Alembic

        migrate_within(seconds, self.name, settings)
