"""The PostgreSQL image alone: it runs as whatever user a platform chooses, and takes a new superuser's password."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from images.setup.cache import Cache, default_root
from images.setup.engine import Engine, detect
from tests.support.cluster import SYSTEM, Cluster
from tests.support.kubectl import UNSETTLED
from tests.support.waiting import eventually

OWN_USER = "10001:10001"
A_PLATFORMS_USER = "1000620000:0"


@dataclass(frozen=True)
class Container:
    """A server in the container engine, without any network."""

    engine: Engine
    name: str
    password_file: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [self.engine.program, *words]
        return subprocess.run(
            command,
            check=False,
            env={**os.environ, **self.engine.environment},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def query(self, sql: str, *options: str) -> subprocess.CompletedProcess[str]:
        return self.run("exec", *options, self.name, "psql", "--no-psqlrc", "--tuples-only", "--no-align", "-c", sql)

    def serves(self) -> None:
        eventually(
            lambda: self.query("SELECT 1").stdout.strip() == "1", f"container {self.name} to serve", tolerate=UNSETTLED
        )

    def lets_in(self, password: str) -> bool:
        """Whether the superuser is let in by this password over TCP."""
        return self.query("SELECT 1", "-e", "PGHOST=127.0.0.1", "-e", f"PGPASSWORD={password}").returncode == 0


@contextmanager
def serving(cluster: Cluster, folder: Path, *, user: str) -> Iterator[Container]:
    engine = detect(Cache(default_root(os.environ)))
    assert engine is not None
    image = cluster.kubectl.items("statefulsets", "-n", SYSTEM, "-l", "app.kubernetes.io/component=postgres")[0]
    name = image["spec"]["template"]["spec"]["containers"][0]["image"]
    password_file = folder / "password"
    password_file.write_text("first\n", encoding="utf-8")
    password_file.chmod(0o644)
    container = Container(engine, f"kompensa-test-{uuid.uuid4().hex[:8]}", password_file)
    mount = ["--volume", f"{password_file}:/etc/superuser/password:ro"]
    environment = ["--env", "POSTGRES_PASSWORD_FILE=/etc/superuser/password", "--env", "PGDATA=/tmp/pgdata"]
    started = container.run(
        "run", "--detach", "--name", container.name, "--network", "none", "--user", user, *mount, *environment, name
    )
    assert started.returncode == 0, started.stderr
    try:
        container.serves()
        yield container
    finally:
        container.run("rm", "--force", "--volumes", container.name)


@pytest.mark.parametrize("user", [OWN_USER, A_PLATFORMS_USER])
def test_a_restart_gives_the_superuser_the_password_of_the_file(cluster: Cluster, tmp_path: Path, user: str) -> None:
    with serving(cluster, tmp_path, user=user) as container:
        assert container.lets_in("first")
        container.password_file.write_text("it's another\n", encoding="utf-8")
        assert container.run("restart", container.name).returncode == 0
        container.serves()
        assert container.lets_in("it's another")
        assert not container.lets_in("first")
        assert "it's" not in container.run("logs", container.name).stdout
