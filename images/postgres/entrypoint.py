#!/usr/bin/python3
"""Starts PostgreSQL on a mounted volume; on an empty one it first makes the database cluster.

Environment: PGDATA, where the cluster is; POSTGRES_PASSWORD_FILE, a file with the superuser's password. Arguments are
handed to `postgres`. Roles and databases are the business of whoever deploys it: they change over the years, this
runs once.

One server at a time has the volume: a pod that was deleted by force may still be shutting its server down when the next
pod starts, and postmaster.pid does not tell them apart, since both are process 1 of their containers. Two servers in
one folder lose what either wrote. So a lock of the kernel's is held on the volume until the last process of a server
has ended.

The cluster is made beside its place and renamed into it: a pod killed half-way starts over instead of serving half of
one. Standard library only; nothing here needs a shell.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

# Defaults of the cluster's own postgresql.conf; another file (`-c config_file=...`) replaces them all. Slots and
# senders: room for Debezium, one an Outbox, and for watching. Two-phase commit stays off: an abandoned one would hold
# back vacuum and every slot.
SETTINGS = {
    "listen_addresses": "*",
    "unix_socket_directories": "/tmp",  # noqa: S108
    "wal_level": "logical",
    "max_replication_slots": "16",
    "max_wal_senders": "16",
    "max_prepared_transactions": "0",
}
# No line for `replication`: a role that may read a logical slot must not be able to copy the whole instance.
HOST_RULES = "host all all all scram-sha-256\n"
# Twice the grace that the chart gives a server to shut down.
LOCK_SECONDS = 120.0


def main(arguments: list[str]) -> None:
    data = Path(os.environ.get("PGDATA", "/var/lib/postgresql/data/pgdata"))
    hold_alone(data.parent, within=LOCK_SECONDS)
    if not (data / "PG_VERSION").exists():
        make_cluster(data, password_file(os.environ.get("POSTGRES_PASSWORD_FILE")))
    command = ["postgres", "-D", str(data), *arguments]
    os.execvp(command[0], command)  # noqa: S606


def hold_alone(volume: Path, *, within: float) -> int:
    """Wait for the volume's lock and take it, for this process and all that it becomes or starts."""
    lock = os.open(volume / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(lock, True)
    deadline = time.monotonic() + within
    told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                sys.exit(f"another server still uses {volume}: end it first; two would destroy each other's data")
            if not told:
                told = True
                print(f"waiting for the server that still uses {volume}", flush=True)
            time.sleep(0.1)
        else:
            return lock


def make_cluster(data: Path, password: Path) -> None:
    """Make the cluster next to `data` and move it into place."""
    unfinished = data.with_name(f"{data.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    done = subprocess.run(initdb_command(unfinished, password), check=False)
    if done.returncode != 0:
        sys.exit(f"initdb ended with status {done.returncode}; its output is above")
    with (unfinished / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
    with (unfinished / "pg_hba.conf").open("a", encoding="utf-8") as rules:
        rules.write(HOST_RULES)
    unfinished.rename(data)


def initdb_command(target: Path, password: Path) -> list[str]:
    """In the pod, whoever runs as the server's user is its superuser by the socket; over the network, by password."""
    authentication = ["--auth-local=peer", "--auth-host=scram-sha-256", f"--pwfile={password}"]
    database = ["--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"]
    return ["initdb", f"--pgdata={target}", *database, *authentication]


def password_file(path: str | None) -> Path:
    if not path or not Path(path).is_file():
        sys.exit(f"POSTGRES_PASSWORD_FILE must name a file with the superuser's password, it is {path!r}")
    return Path(path)


if __name__ == "__main__":
    main(sys.argv[1:])
