"""Participants of the shop are called on this machine."""

import pytest

from kompensa.manifests.documents import Document
from kompensa_dev.loopback import at_loopback


def participant(url: str) -> Document:
    return Document(kind="Participant", namespace="shop", name="inventory", spec={"url": url}, source="test.yaml")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://inventory.shop.svc:8080", "http://127.0.0.1:9000"),
        ("http://inventory.shop.svc.cluster.local:8080/v2/", "http://127.0.0.1:9000/v2"),
        ("http://inventory", "http://127.0.0.1:9000"),
        ("http://127.0.0.1:7777", "http://127.0.0.1:7777"),
        ("https://pay.example.com/api", "https://pay.example.com/api"),
    ],
)
def test_only_services_of_the_shop_are_pointed_at_loopback(url: str, expected: str) -> None:
    assert at_loopback(participant(url), {"inventory": "http://127.0.0.1:9000"}).spec["url"] == expected
