from typing import Any

from kompensa.cluster.replica_status import replica_conditions, replica_fields, steady


def answer(**changed: Any) -> dict[str, Any]:
    return {
        "replica": "shop/invoices-customers",
        "ready": True,
        "lagRecords": 0,
        "appliedRecords": 12,
        "parkedKeys": 0,
        "problems": [],
        "lastError": "",
        "partitions": [],
    } | changed


def truths(worker: dict[str, Any]) -> dict[str, str]:
    return {condition.type: condition.status for condition in replica_conditions(worker)}


def test_a_worker_that_follows_is_ready() -> None:
    assert truths(answer()) == {"Ready": "True", "Reconciling": "False", "Stalled": "False"}


def test_a_worker_says_that_it_follows_only_where_it_does() -> None:
    said = {
        (0, 0.0): "every record is applied as it arrives",
        (3, 0.2): "every record is applied as it arrives",
        (3, 3600.0): "catching up: status.lagRecords counts the records that wait to be applied",
        (3, None): "catching up: status.lagRecords counts the records that wait to be applied",
        (None, None): "the worker reads; how much waits is not known yet",
    }
    for (records, seconds), message in said.items():
        condition = replica_conditions(answer(lagRecords=records, lagSeconds=seconds))[0]
        assert (condition.status, condition.reason, condition.message) == ("True", "Following", message)


def test_a_worker_in_trouble_says_what_it_waits_for() -> None:
    conditions = replica_conditions(answer(ready=False, problems=["target: connection refused", "kafka: no broker"]))
    assert conditions[0].status == "False"
    assert conditions[0].message == "target: connection refused; kafka: no broker"


def test_parked_keys_ask_for_a_person_while_the_rest_goes_on() -> None:
    worker = answer(parkedKeys=2, lastError="customer 7: email is missing")
    assert truths(worker) == {"Ready": "True", "Reconciling": "False", "Stalled": "True"}
    assert "customer 7: email is missing" in replica_conditions(worker)[2].message


def test_the_status_holds_what_the_object_declares_and_nothing_else() -> None:
    assert replica_fields(answer()).keys() == {"lagRecords", "appliedRecords", "parkedKeys", "lastError"}


def test_numbers_that_move_are_not_news() -> None:
    assert steady(replica_fields(answer(lagRecords=5))) == steady(replica_fields(answer(appliedRecords=99)))
    assert steady(replica_fields(answer(parkedKeys=1))) != steady(replica_fields(answer()))
