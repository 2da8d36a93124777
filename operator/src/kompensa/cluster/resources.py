"""The kinds we read or write, and where the API server keeps them."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

GROUP = "kompensa.dev"
VERSION = "v1alpha1"

# An object as the API server sends it: JSON, read defensively at the edge.
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind's place in the API: `apiVersion`, plural and kind."""

    api_version: str
    plural: str
    kind: str

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of a collection, an object or its subresource; `namespace=None` means all namespaces."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        parts = [root]
        if namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part is not None]
        return "/".join(parts)


def _own(plural: str, kind: str) -> Resource:
    return Resource(f"{GROUP}/{VERSION}", plural, kind)


PARTICIPANTS = _own("participants", "Participant")
DEFINITIONS = _own("sagadefinitions", "SagaDefinition")
SAGAS = _own("sagas", "Saga")
OUTBOXES = _own("outboxes", "Outbox")
REPLICAS = _own("replicas", "Replica")
OWN_KINDS = (PARTICIPANTS, DEFINITIONS, SAGAS, OUTBOXES, REPLICAS)

NAMESPACES = Resource("v1", "namespaces", "Namespace")
SECRETS = Resource("v1", "secrets", "Secret")
CONFIG_MAPS = Resource("v1", "configmaps", "ConfigMap")
SERVICES = Resource("v1", "services", "Service")
PODS = Resource("v1", "pods", "Pod")
NODES = Resource("v1", "nodes", "Node")
EVENTS = Resource("v1", "events", "Event")
DEPLOYMENTS = Resource("apps/v1", "deployments", "Deployment")
LEASES = Resource("coordination.k8s.io/v1", "leases", "Lease")
ACCESS_REVIEWS = Resource("authorization.k8s.io/v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview")
