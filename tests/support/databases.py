"""Reading the services' own databases on the cluster, each with the service's own login.

Queries run through psql in a PostgreSQL pod: what is looked at never passes through the code under test.
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.kubectl import Kubectl

SHOP = "shop"


class ClusterDatabases:
    """`rows("orders", "SELECT ...")` as orders' own role."""

    def __init__(self, kubectl: Kubectl, namespace: str = SHOP) -> None:
        self.kubectl = kubectl
        self.namespace = namespace
        self._urls: dict[str, str] = {}

    def url(self, service: str) -> str:
        """The URL in the service's Secret, as the service itself gets it."""
        if service not in self._urls:
            self._urls[service] = self.kubectl.secret(f"{service}-postgres", self.namespace)["url"]
        return self._urls[service]

    def rows(self, service: str, query: str, *, login: str | None = None) -> list[dict[str, Any]]:
        """Rows as JSON values. `login` uses another service's credentials against this service's database."""
        url = self.url(service)
        if login is not None:
            url = _with_credentials(url, self.url(login))
        found = self.psql(url, f"SELECT coalesce(json_agg(t), '[]') FROM ({query}) t")
        rows: list[dict[str, Any]] = json.loads(found)
        return rows

    def execute(self, service: str, statement: str) -> None:
        """One statement with the service's own login."""
        self.psql(self.url(service), statement)

    def pod(self, service: str) -> str:
        """The pod of the PostgreSQL that holds the service's tables."""
        return _pod(self.url(service))

    def psql(self, url: str, statement: str) -> str:
        """In the very server's pod, over its Service: the first of a StatefulSet that is named like the Service."""
        # The URL is an argument of psql in the pod of a test cluster: it is the login of a throw-away database.
        options = ("-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement)
        return self.kubectl.execute(self.namespace, _pod(url), "psql", url, *options)


def _pod(url: str) -> str:
    return f"{url.rpartition('@')[2].partition('.')[0]}-0"


def _with_credentials(url: str, other: str) -> str:
    scheme, _, rest = url.partition("://")
    credentials = other.partition("://")[2].rpartition("@")[0]
    return f"{scheme}://{credentials}@{rest.rpartition('@')[2]}"
