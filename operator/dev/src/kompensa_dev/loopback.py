"""Participants as a cluster gets them, made to fit local processes."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from kompensa.manifests.documents import Document


def at_loopback(participant: Document, urls: Mapping[str, str]) -> Document:
    """Return the Participant pointed at the local process of the same name; one that is not ours stays as it is.

    Parameters
    ----------
    urls
        Base URL by name of service. A Service's DNS name starts with it: `http://orders.shop.svc:8080`.
    """
    address = urlsplit(str(participant.spec.get("url", "")))
    local = urls.get((address.hostname or "").split(".")[0])
    if local is None:
        return participant
    return replace(participant, spec={**participant.spec, "url": local + address.path.rstrip("/")})
