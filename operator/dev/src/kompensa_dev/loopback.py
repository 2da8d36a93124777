"""Participants as a cluster gets them, made to fit local processes."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from kompensa.manifests.documents import Document


def at_loopback(participant: Document, urls: Mapping[str, str]) -> Document:
    """Return the Participant pointed at the local process of the same name; one that is not ours stays as it is.

    A local process does not check callers, so no token is sent to it.

    Parameters
    ----------
    urls
        Base URL by name of service. A Service's DNS name starts with it: `http://orders.shop.svc:8080`.
    """
    address = urlsplit(str(participant.spec.get("url", "")))
    local = urls.get((address.hostname or "").split(".")[0])
    if local is None:
        return participant
    without_token = {name: value for name, value in participant.spec.items() if name != "tokenSecretRef"}
    return replace(participant, spec={**without_token, "url": local + address.path.rstrip("/")})
