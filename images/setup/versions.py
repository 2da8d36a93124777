"""Pinned versions, read from images/versions.toml.

A missing or empty entry is an error at start, not a surprise twenty minutes into a build.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from images.setup.errors import SetupError

IMAGES = Path(__file__).resolve().parent.parent
CHECKOUT = IMAGES.parent
VERSIONS_FILE = IMAGES / "versions.toml"


@dataclass(frozen=True)
class Versions:
    """One field a pinned thing; all are plain version strings without a leading v."""

    go_minimum: str
    go_package: str
    kind: str
    published_node: str
    kubernetes: str
    etcd: str
    coredns: str
    helm: str
    kafka: str
    debezium: str
    postgresql: str
    java: str
    debian_suite: str
    published_debian: str


def parse_versions(text: str) -> Versions:
    """Read the TOML of versions.toml.

    Raises
    ------
    SetupError
        If an entry is missing or is not a non-empty string.
    """
    tables = tomllib.loads(text)

    def entry(table: str, key: str = "version") -> str:
        value = tables.get(table, {}).get(key)
        if not isinstance(value, str) or not value:
            raise SetupError(f"versions.toml: [{table}] {key} must be a version string, found {value!r}")
        return value

    return Versions(
        go_minimum=entry("go", "minimum"),
        go_package=entry("go", "package"),
        kind=entry("kind"),
        published_node=entry("kind", "published_node"),
        kubernetes=entry("kubernetes"),
        etcd=entry("etcd"),
        coredns=entry("coredns"),
        helm=entry("helm"),
        kafka=entry("kafka"),
        debezium=entry("debezium"),
        postgresql=entry("postgresql"),
        java=entry("java"),
        debian_suite=entry("debian", "suite"),
        published_debian=entry("debian", "published"),
    )


def load_versions() -> Versions:
    """The versions this checkout pins."""
    return parse_versions(VERSIONS_FILE.read_text(encoding="utf-8"))
