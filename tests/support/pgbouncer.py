"""A real PgBouncer as a local process, in front of one login's database."""

import os
import shutil
from dataclasses import replace
from typing import Literal

import psycopg

from kompensa_dev import postgres_install
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.postgres import Login
from kompensa_dev.process import Program
from kompensa_dev.run import Run

Mode = Literal["session", "transaction", "statement"]
PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


class PgBouncer:
    """One pooler in one mode, with the defaults of PgBouncer unless a test changes them.

    Attributes
    ----------
    login
        The same role and database, through the pooler.
    """

    def __init__(self, run: Run, behind: Login, mode: Mode, **settings: str) -> None:
        program = shutil.which("pgbouncer", path=PATH)
        if program is None:
            raise RuntimeError("PgBouncer is not installed: run `python3 -m images prepare integration`")
        name = f"pgbouncer-{mode}-{behind.database}"
        port = Ports().take(name)
        self.login = replace(behind, host=HOST, port=port)
        folder = run.subfolder(name)
        user = postgres_install.unprivileged_user()
        (folder / "users.txt").write_text(f'"{behind.username}" "{behind.password}"\n', encoding="utf-8")
        options = {
            "listen_addr": HOST,
            "listen_port": str(port),
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": str(folder / "users.txt"),
            "pool_mode": mode,
            **settings,
        }
        lines = ["[databases]", f"* = host={behind.host} port={behind.port}", "[pgbouncer]"]
        lines += [f"{key} = {value}" for key, value in options.items()]
        (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n", encoding="utf-8")
        postgres_install.give_to(user, folder)
        self._process = run.start(Program(name=name, argv=[program, str(folder / "pgbouncer.ini")], user=user))
        self._process.wait_ready(self._answers, what="taking connections", timeout=30)

    @property
    def url(self) -> str:
        return self.login.url

    def stop(self) -> None:
        self._process.stop()

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
