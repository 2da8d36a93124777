"""A real PostgreSQL server as a local process: logical WAL, default durability, a free loopback port.

Every role has a password of its own and logs in over TCP, as it would in the cluster: a test that reads another
service's table fails here as it does there.
"""

import hashlib
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql

from kompensa_dev import postgres_install
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run

START_SECONDS = 30.0
SUPERUSER = "postgres"
_SETTINGS = {
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "unix_socket_directories": "",
    "listen_addresses": HOST,
    "timezone": "UTC",
    "log_min_messages": "warning",
}


@dataclass(frozen=True, kw_only=True)
class Login:
    """A role's way into one database."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"postgresql://{quote(self.username)}:{quote(self.password)}@{self.host}:{self.port}/{self.database}"


class PostgresServer:
    """One running server. `stop`, `start` and `kill` are for fault tests; its data survive them."""

    def __init__(self, run: Run, *, name: str = "postgres", port: int | None = None) -> None:
        self.host = HOST
        self._run = run
        self._name = name
        self._user = postgres_install.unprivileged_user()
        folder = run.subfolder(name)
        self._data, self._password = _data_folder(folder, self._user)
        self.port = port or _same_port(folder, name)
        self._process: Process | None = None
        self.start()

    @property
    def process(self) -> Process:
        if self._process is None:
            raise RuntimeError("the server was never started")
        return self._process

    @property
    def admin(self) -> Login:
        """The superuser, in the database `postgres`."""
        return self.admin_of("postgres")

    @property
    def admin_url(self) -> str:
        return self.admin.url

    def admin_of(self, database: str) -> Login:
        """The superuser, in any database."""
        return self._login(database, SUPERUSER, self._password)

    def start(self) -> None:
        """Start the server on its port and wait until it takes connections."""
        settings = [f"--{name}={value}" for name, value in {**_SETTINGS, "port": str(self.port)}.items()]
        self._process = self._run.start(
            Program(
                name=self._name,
                argv=[str(postgres_install.programs() / "postgres"), "-D", str(self._data), *settings],
                folder=self._data,
                user=self._user,
                stop_signal=signal.SIGINT,  # fast: open sessions are ended, data are flushed
                tier=0,
            )
        )
        self._process.wait_ready(self.answers, what="taking connections", timeout=START_SECONDS)

    def answers(self) -> bool:
        """Whether it takes connections now."""
        try:
            psycopg.connect(self.admin_url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Shut down in good order (fast mode)."""
        self.process.stop()

    def kill(self) -> None:
        """End as a crash would; the next start recovers from the WAL."""
        self.process.kill()

    def create_database(self, name: str, *, owner: str | None = None) -> Login:
        """Make a database of its own role (named like it unless `owner` says otherwise) that no other role may enter.

        This and the three below may be called again on data that are kept.
        """
        login = self._role(name, owner or name, "LOGIN")
        role, database = sql.Identifier(login.username), sql.Identifier(name)
        if not self._exists("SELECT FROM pg_database WHERE datname = %s", name):
            self.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
        self.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        return login

    def create_schema(self, database: str, name: str) -> Login:
        """Make a schema of its own role in a shared database; CREATE on the database lets it make its publication."""
        login = self._role(database, name, "LOGIN")
        role = sql.Identifier(name)
        self.execute(
            sql.SQL("GRANT CONNECT, CREATE ON DATABASE {} TO {}").format(sql.Identifier(database), role),
            sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(role, role),
            database=database,
        )
        return login

    def create_capture_role(self, database: str, *, name: str | None = None) -> Login:
        """Make a role that may replicate and enter the database; what it may read there its owner grants."""
        login = self._role(database, name or f"{database}_capture", "LOGIN REPLICATION")
        role = sql.Identifier(login.username)
        self.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), role))
        return login

    def create_serving_role(self, database: str, *, name: str) -> Login:
        """Make a role that may enter the database; the owner of the tables grants it rights on them."""
        login = self._role(database, name, "LOGIN")
        role = sql.Identifier(login.username)
        self.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), role))
        return login

    def drop_database(self, name: str, *, roles: tuple[str, ...] = ()) -> None:
        """Drop a database with its slots, sessions and the given roles."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots"
                " WHERE database = %s AND active",
                (name,),
            )
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = %s", (name,)
            )
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            for role in roles:
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))

    def execute(self, *statements: sql.Composed | sql.SQL, database: str = "postgres") -> None:
        """Run statements as the superuser, each on its own."""
        with psycopg.connect(self.admin_of(database).url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def _role(self, database: str, name: str, attributes: LiteralString) -> Login:
        # Derived, so that a kept folder keeps it: a connector's stored login would no longer open the database.
        password = hashlib.sha256(f"{self._password}/{name}".encode()).hexdigest()[:24]
        login = self._login(database, name, password)
        verb = "ALTER" if self._exists("SELECT FROM pg_roles WHERE rolname = %s", name) else "CREATE"
        self.execute(
            sql.SQL(verb + " ROLE {} " + attributes + " PASSWORD {}").format(
                sql.Identifier(name), sql.Literal(login.password)
            )
        )
        return login

    def _exists(self, query: LiteralString, name: str) -> bool:
        with psycopg.connect(self.admin_url) as connection:
            return connection.execute(query, (name,)).fetchone() is not None

    def _login(self, database: str, username: str, password: str) -> Login:
        return Login(host=self.host, port=self.port, database=database, username=username, password=password)


def _same_port(folder: Path, name: str) -> int:
    """The port of the last start on these data, if it is free: what was configured with it then goes on."""
    memory = folder / "port"
    port = Ports().take(name, int(memory.read_text(encoding="utf-8")) if memory.exists() else None)
    memory.write_text(str(port), encoding="utf-8")
    return port


def _data_folder(folder: Path, user: str | None) -> tuple[Path, str]:
    """The server's data, made when there are none (a kept run finds its own), and the superuser's password."""
    postgres_install.give_to(user, folder)
    postgres_install.require_reachable(user, folder)
    data, secret = folder / "data", folder / "password"
    if not secret.exists():
        secret.touch(0o600)
        secret.write_text(postgres_install.copy_fresh_cluster(data), encoding="utf-8")
        postgres_install.give_to(user, data)
    (data / "postmaster.pid").unlink(missing_ok=True)
    return data, secret.read_text(encoding="utf-8")
