"""The process around an engine ends when the engine cannot go on, so that Kubernetes restarts it."""

import pytest

from kompensa.api import serve
from kompensa.engine.settings import Settings
from kompensa_dev.ports import HOST, Ports
from tests.support.journal_link import JournalLink
from tests.support.memory_journal import MemoryJournal
from tests.support.virtual_time import wall_clock


async def test_a_process_whose_engine_has_fallen_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    link = JournalLink(MemoryJournal(wall_clock))
    link.fail_with = ValueError("what no driver should raise")
    monkeypatch.setattr(serve, "PostgresJournal", lambda *_, **__: link)
    settings = Settings(journal_url="postgresql://nowhere", api_host=HOST, api_port=Ports().take("api"))
    with pytest.raises(SystemExit) as ended:
        await serve._serve(settings)
    assert ended.value.code == 1
