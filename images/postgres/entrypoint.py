#!/usr/bin/python3
"""Starts PostgreSQL on a mounted volume; on an empty one it first makes the database cluster.

Environment: PGDATA, where the cluster is; POSTGRES_PASSWORD_FILE, a file whose first line is the superuser's password,
which is set at every start, so that a new password needs only a restart. Arguments are passed on to `postgres`. Other
roles and databases are left to the user who deploys it.

One server at a time may use the volume. A pod that was deleted by force may still be shutting its server down when the
next pod starts. postmaster.pid does not distinguish the two servers, since both are process 1 of their containers. Two
servers in one folder destroy each other's data. So the kernel holds a lock on the volume until the last process of a
server has ended.

The cluster is made next to its place and renamed into it: a pod killed half-way starts over instead of serving half a
cluster. The server may run as any user: nss_wrapper gives a user of another name the name `postgres` too. Only the
standard library is used; nothing here needs a shell.
"""

import fcntl
import os
import pwd
import shutil
import subprocess
import sys
import time
from contextlib import suppress
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
# Nothing of a statement that holds a password may reach the log.
SILENT = ("log_statement=none", "log_min_error_statement=panic", "log_min_duration_statement=-1")
NAMES = Path("/tmp")  # noqa: S108


def main(arguments: list[str]) -> None:
    data = Path(os.environ.get("PGDATA", "/var/lib/postgresql/data/pgdata"))
    password = password_file(os.environ.get("POSTGRES_PASSWORD_FILE"))
    os.environ.update(names_for(os.getuid(), os.getgid(), NAMES))
    hold_alone(data.parent, within=LOCK_SECONDS)
    if (data / "PG_VERSION").exists():
        set_password(data, password, arguments)
    else:
        make_cluster(data, password)
    command = ["postgres", "-D", str(data), *arguments]
    os.execvp(command[0], command)  # noqa: S606


def names_for(user: int, group: int, folder: Path) -> dict[str, str]:
    """The variables that name this user `postgres`, as the socket's rule wants; none if that is its name already."""
    with suppress(KeyError):  # a user without any name
        if pwd.getpwuid(user).pw_name == "postgres":
            return {}
    passwd, groups = folder / "passwd", folder / "group"
    passwd.write_text(f"postgres:x:{user}:{group}::/tmp:/usr/sbin/nologin\n", encoding="utf-8")
    groups.write_text(f"postgres:x:{group}:\n", encoding="utf-8")
    wrapped = {"NSS_WRAPPER_PASSWD": str(passwd), "NSS_WRAPPER_GROUP": str(groups)}
    return {"LD_PRELOAD": "libnss_wrapper.so", **wrapped}


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


def set_password(data: Path, password: Path, arguments: list[str]) -> None:
    """Give the superuser the password of the file, before any client can connect."""
    literal = password.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r").replace("'", "''")
    options = [word for setting in ("exit_on_error=on", *SILENT) for word in ("-c", setting)]
    command = ["postgres", "--single", "-D", str(data), *arguments, *options, "postgres"]
    statement = f"ALTER ROLE postgres PASSWORD '{literal}'\n"
    done = subprocess.run(command, input=statement, encoding="utf-8", stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        sys.exit(f"the superuser's password could not be set (status {done.returncode}); the reason is above")


def initdb_command(target: Path, password: Path) -> list[str]:
    """In the pod, a process of the server's user is superuser by the socket; over the network, a password is needed."""
    authentication = ["--auth-local=peer", "--auth-host=scram-sha-256", f"--pwfile={password}"]
    database = ["--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"]
    return ["initdb", f"--pgdata={target}", *database, *authentication]


def password_file(path: str | None) -> Path:
    if not path or not Path(path).is_file():
        sys.exit(f"POSTGRES_PASSWORD_FILE must name a file with the superuser's password, it is {path!r}")
    return Path(path)


if __name__ == "__main__":
    main(sys.argv[1:])
