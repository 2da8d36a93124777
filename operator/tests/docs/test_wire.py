"""The engine sends and accepts what docs/guides/write-a-participant.md states for participants without the kit."""

import pytest

from kompensa.handlers.participants import TOKEN_REPEAT_SECONDS
from kompensa.model.http_call import HttpEndpoint
from kompensa.model.scope import OUTPUTS_LIMIT
from kompensa.transport import client, http
from kompensa.transport.port import Participant
from kompensa.transport.replies import LONGEST_RETRY_AFTER
from tests.support.attempts import SAGA, paying
from tests.support.documentation import DOCS, named, tables

GUIDE = "guides/write-a-participant.md"
WITHOUT_THE_KIT = (DOCS / GUIDE).read_text(encoding="utf-8").split("\n## Without the kit\n")[1]
OF_HTTP_ITSELF = {"Host", "User-Agent", "Accept", "Accept-Encoding"}


def test_the_headers_of_a_call_are_stated() -> None:
    participant = Participant(
        namespace="shop", name="stub", endpoint=HttpEndpoint("http://stub"), max_in_flight=1, token="secret"
    )
    sent = http._headers(participant, SAGA, paying(body=b"{}"), http._address(participant.endpoint.url))
    assert set(named(tables(GUIDE, "Without the kit"))) == sent.keys() - OF_HTTP_ITSELF


@pytest.mark.parametrize(
    ("stated", "limit"),
    [
        (f"{client.REPLY_LIMIT >> 20} MiB", "a reply"),
        (f"{OUTPUTS_LIMIT >> 10} KiB", "outputs"),
        (f"{LONGEST_RETRY_AFTER:.0f} s", "patience"),
        (f" {client.KEEP_ALIVE:.0f} s", "an idle connection"),
        (f"({TOKEN_REPEAT_SECONDS:.0f} s)", "a token"),
    ],
)
def test_the_limits_are_stated(stated: str, limit: str) -> None:
    assert stated in WITHOUT_THE_KIT, limit
