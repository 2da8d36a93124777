#!/usr/bin/python3
"""Starts PostgreSQL on a mounted volume; on an empty one it first makes the database cluster.

Environment: PGDATA, where the cluster is; POSTGRES_PASSWORD_FILE, a file with the superuser's password;
INIT_FOLDER (default /etc/kompensa/init), whose *.sql files are run once, in order of name, when the cluster is made.
Arguments are handed to `postgres`.

The cluster is made beside its place and renamed into it: a pod killed half-way starts over instead of serving a
database without its roles. Standard library only; nothing here needs a shell.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# The socket lies in the only writable folder besides the data. Slots and senders: room for Debezium, one an Outbox, and
# for watching. Two-phase commit stays off: an abandoned one would hold back vacuum and every slot.
SETTINGS = {
    "listen_addresses": "*",
    "unix_socket_directories": "/tmp",  # noqa: S108
    "wal_level": "logical",
    "max_replication_slots": "16",
    "max_wal_senders": "16",
    "max_prepared_transactions": "0",
    "password_encryption": "scram-sha-256",
}
HOST_RULES = "host all all all scram-sha-256\nhost replication all all scram-sha-256\n"
START_SECONDS = 60


def main(arguments: list[str]) -> None:
    data = Path(os.environ.get("PGDATA", "/var/lib/postgresql/data/pgdata"))
    if not (data / "PG_VERSION").exists():
        make_cluster(data)
    command = ["postgres", "-D", str(data), *as_options(SETTINGS), *arguments]
    os.execvp(command[0], command)  # noqa: S606


def make_cluster(data: Path) -> None:
    """Make the cluster next to `data`, run the first SQL on it and move it into place."""
    password = required_file("POSTGRES_PASSWORD_FILE")
    started = data.with_name(f"{data.name}.new")
    shutil.rmtree(started, ignore_errors=True)
    run("initdb", "--pgdata", str(started), *initdb_options(password))
    with (started / "pg_hba.conf").open("a", encoding="utf-8") as rules:
        rules.write(HOST_RULES)
    run_first_sql(started, first_sql(Path(os.environ.get("INIT_FOLDER", "/etc/kompensa/init"))))
    started.rename(data)


def initdb_options(password: Path) -> list[str]:
    authentication = ["--auth-local=peer", "--auth-host=scram-sha-256", f"--pwfile={password}"]
    return ["--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", *authentication]


def first_sql(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sql")) if folder.is_dir() else []


def run_first_sql(data: Path, files: list[Path]) -> None:
    """Serve on the socket only, so that nobody gets in before the roles and databases are there."""
    if not files:
        return
    private = " ".join(as_options({**SETTINGS, "listen_addresses": ""}))
    run("pg_ctl", "start", "-D", str(data), "--wait", "-t", str(START_SECONDS), "-o", private)
    try:
        for file in files:
            print(f"running {file.name}", flush=True)
            run("psql", "--no-psqlrc", "--quiet", *as_superuser(), "-v", "ON_ERROR_STOP=1", "-f", str(file))
    finally:
        run("pg_ctl", "stop", "-D", str(data), "--wait", "--mode=fast")


def as_superuser() -> list[str]:
    return ["--username=postgres", "--dbname=postgres", f"--host={SETTINGS['unix_socket_directories']}"]


def as_options(settings: dict[str, str]) -> list[str]:
    """`-c name=value` for each."""
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def required_file(variable: str) -> Path:
    path = os.environ.get(variable)
    if not path or not Path(path).is_file():
        sys.exit(f"{variable} must name a file with the superuser's password, it is {path!r}")
    return Path(path)


def run(*command: str) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode != 0:
        sys.exit(f"`{command[0]}` ended with status {done.returncode}; its output is above")


if __name__ == "__main__":
    main(sys.argv[1:])
