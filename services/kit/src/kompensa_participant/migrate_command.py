"""The command `migrate` of a service: it can wait for the database, and names what keeps it from migrating."""

from __future__ import annotations

import time

import structlog
from alembic.util import CommandError
from psycopg import Error, OperationalError
from sqlalchemy.exc import SQLAlchemyError

from kompensa_common.sessions import PoolerError
from kompensa_participant import migrations
from kompensa_participant.revisions import revisions
from kompensa_participant.settings import Settings, SettingsError, last_line

log = structlog.get_logger()

WAIT_PAUSE = 0.5


class NotThereYetError(SettingsError):
    """The server, its database or a role may still be in the making: waiting can help."""


def migrate_within(seconds: float, name: str, settings: Settings) -> None:
    """Migrate a service's schema. While the database is being set up, a new try is quicker than a restart of the pod.

    Raises
    ------
    SettingsError
        The schema cannot be migrated, or the database or a role is still missing after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _migrate(name, settings)
        except NotThereYetError as error:
            if time.monotonic() >= deadline:
                raise
            log.info("waiting for the database", reason=str(error))
            time.sleep(WAIT_PAUSE)


def _migrate(name: str, settings: Settings) -> None:
    try:
        migrations.migrate(
            name,
            url=settings.database_url,
            schema=name,
            capture_role=settings.capture_role,
            serving_role=settings.serving_role,
        )
    except PoolerError as error:
        raise SettingsError(f"cannot migrate, DATABASE_URL: {error}") from None
    except OperationalError as error:
        raise NotThereYetError(f"cannot migrate, the database of DATABASE_URL: {last_line(error)}") from error
    except migrations.RoleMissingError as error:
        raise NotThereYetError(f"cannot migrate: {error}") from error
    except (Error, SQLAlchemyError, CommandError, LookupError) as error:
        raise SettingsError(f"cannot migrate: {last_line(getattr(error, 'orig', None) or error)}") from error
    log.info("migrated", schema=name, revision=revisions(name)[-1])
