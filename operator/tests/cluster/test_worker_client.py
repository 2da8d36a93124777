import pytest

from kompensa.cluster.worker_client import WorkerClient, WorkerUnreachableError


async def test_a_worker_that_is_not_there_is_named_without_the_login_in_its_address() -> None:
    async with WorkerClient.connect("http://user:secret@127.0.0.1:1/{namespace}/{name}") as workers:
        with pytest.raises(WorkerUnreachableError, match=r"http://127\.0\.0\.1:1/shop/customers/status") as caught:
            await workers.status("shop", "customers")
    assert "secret" not in str(caught.value)
