import pytest

from kompensa_cdc.event_schema import InvalidSchemaError, payload_check
from kompensa_consumer import Event, PoisonError, decode
from tests.support.records import FakeRecord

CUSTOMER = {
    "type": "object",
    "required": ["customerId", "email"],
    "properties": {"customerId": {"type": "string", "format": "uuid"}, "email": {"type": "string", "format": "email"}},
}


def event(value: bytes) -> Event:
    decoded = decode(FakeRecord(value_=value))
    assert isinstance(decoded, Event)
    return decoded


def test_a_payload_that_fits_passes() -> None:
    payload_check(CUSTOMER)(event(b'{"customerId":"7d444840-9dc0-11d1-b245-5ffdce74fad2","email":"a@b.com"}'))


def test_a_payload_that_does_not_fit_is_poison_that_names_the_field_and_hides_the_value() -> None:
    with pytest.raises(PoisonError, match="email does not fit") as caught:
        payload_check(CUSTOMER)(event(b'{"customerId":"7d444840-9dc0-11d1-b245-5ffdce74fad2","email":"secret"}'))
    assert "secret" not in str(caught.value)


def test_a_missing_field_is_poison() -> None:
    with pytest.raises(PoisonError, match="customerId"):
        payload_check(CUSTOMER)(event(b'{"email":"a@b.com"}'))


def test_an_invalid_schema_is_rejected_before_any_event() -> None:
    with pytest.raises(InvalidSchemaError, match="eventSchema"):
        payload_check({"type": "strin"})
