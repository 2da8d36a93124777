"""What docs/guides/write-a-participant.md tells those who have no kit is what the engine sends and takes."""

import pytest

from kompensa.handlers.participants import REPEAT
from kompensa.model.scope import OUTPUTS_LIMIT
from kompensa.transport import http
from kompensa.transport.port import Participant
from kompensa.transport.replies import LONGEST_RETRY_AFTER
from tests.support.attempts import SAGA, paying
from tests.support.documentation import DOCS, named, tables

GUIDE = "guides/write-a-participant.md"
WITHOUT_THE_KIT = (DOCS / GUIDE).read_text(encoding="utf-8").split("\n## Without the kit\n")[1]
OF_HTTP_ITSELF = {"Host", "User-Agent", "Accept", "Accept-Encoding"}


def test_the_headers_of_a_call_are_told() -> None:
    participant = Participant(namespace="shop", name="stub", url="http://stub", max_in_flight=1, token="secret")
    sent = http._headers(participant, SAGA, paying(body=b"{}"), http._address(participant.url))
    assert set(named(tables(GUIDE, "Without the kit"))) == sent.keys() - OF_HTTP_ITSELF


@pytest.mark.parametrize(
    ("told", "limit"),
    [
        (f"of at most {http.REPLY_LIMIT >> 20} MiB", "a reply"),
        (f"Outputs may have {OUTPUTS_LIMIT >> 10} KiB", "outputs"),
        (f"longer, up to {LONGEST_RETRY_AFTER:.0f} s", "patience"),
        (f"while it is idle, for {http._KEEP_ALIVE:.0f} s", "an idle connection"),
        (f"after at most {REPEAT:.0f} s", "a token"),
    ],
)
def test_the_limits_are_told(told: str, limit: str) -> None:
    assert told in WITHOUT_THE_KIT, limit
