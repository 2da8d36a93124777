"""The demo notices a difference from before, and an order that is not reversed."""

from kompensa_dev.demo.ledger import Ledger
from kompensa_dev.demo.scene import Scene
from kompensa_dev.demo.undoing import done_and_undone


def step(name: str, start: str, undone: str | None) -> dict[str, object]:
    view: dict[str, object] = {"name": name, "startTime": start}
    return view if undone is None else {**view, "compensation": {"state": "Undone", "endTime": undone}}


def test_a_ledger_names_what_is_not_as_before() -> None:
    before = Ledger((("on hand", "10"), ("balance", "1000.00")))
    after = Ledger((("on hand", "10"), ("balance", "790.03")))
    assert before.differences(before) == []
    assert before.differences(after) == ["balance: 1000.00 then, 790.03 now"]


def test_steps_are_told_in_the_order_of_their_effects_and_of_their_undoing() -> None:
    steps = [step("a", "10:00:01Z", "10:00:09Z"), step("b", "10:00:02Z", "10:00:08Z"), step("c", "10:00:03Z", None)]
    assert done_and_undone({"steps": steps}) == (["a", "b"], ["b", "a"])


def test_the_order_is_the_test_vector_of_the_seed() -> None:
    order = Scene.new().order("customer")
    assert [(item["quantity"], item["price"]) for item in order["items"]] == [(2, "29.99"), (1, "149.99")]
    assert order["totalAmount"] == "209.97"
