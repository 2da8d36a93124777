"""Health, readiness and metrics mean something; the documentation describes what is there."""

import asyncio

from tests.support.api_client import Api, slug
from tests.support.scripted_transport import NO_ANSWER, REFUSED


async def sample(api: Api, name: str) -> float:
    """One sample of the metrics, 0 where there is none."""
    lines = (await api.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def test_an_engine_that_takes_sagas_is_ready(api: Api) -> None:
    assert (await api.get("/readyz")).text == "ok\n"
    assert (await api.get("/healthz")).text == "ok\n"


async def test_health_can_be_asked_by_head_as_load_balancers_do(api: Api) -> None:
    assert [(await api.client.head(path)).status_code for path in ("/healthz", "/readyz")] == [200, 200]
    await api.world.first.stop()
    assert (await api.client.head("/readyz")).status_code == 503
    api.world.engines.clear()


async def test_an_engine_whose_journal_is_away_lives_but_is_not_ready(api: Api) -> None:
    with api.world.journal_away():
        await asyncio.sleep(3)
        refused = await api.get("/readyz")
        assert slug(refused) == (503, "not-ready")
        assert "the journal is away" in refused.json()["detail"]
        assert (await api.get("/healthz")).status_code == 200
    await asyncio.sleep(5)
    assert (await api.get("/readyz")).status_code == 200


async def test_a_stopping_engine_is_not_ready(api: Api) -> None:
    await api.world.first.stop()
    assert slug(await api.get("/readyz")) == (503, "not-ready")
    api.world.engines.clear()


async def test_metrics_count_sagas_by_their_end_and_calls_by_their_outcome(api: Api) -> None:
    succeeded = 'kompensa_sagas_finished_total{definition="order",namespace="shop",phase="Succeeded"}'
    undone = succeeded.replace("Succeeded", "Compensated")
    unknown = 'kompensa_step_attempts_total{definition="order",direction="action",outcome="Unknown",step="pay"}'
    before = [await sample(api, name) for name in (succeeded, undone, unknown)]
    await api.start(wait="5s")
    api.world.transport.answer("action pay", NO_ANSWER, REFUSED)
    await api.start(wait="5s")
    after = [await sample(api, name) for name in (succeeded, undone, unknown)]
    assert [new - old for old, new in zip(before, after, strict=True)] == [1, 1, 1]


async def test_metrics_tell_what_is_in_flight_and_what_is_owned(api: Api) -> None:
    api.world.transport.hold("action reserve")
    await api.start()
    assert await sample(api, "kompensa_sagas_in_flight ") == 1
    assert await sample(api, "kompensa_lease_shards ") == 32
    api.world.transport.release("action reserve")
