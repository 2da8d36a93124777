"""An address that may be shown, and the login that may not."""

import pytest

from kompensa_common.addresses import without_login

LOGIN = {"Authorization": "Basic dXNlcjpzZUBjcmV0"}


@pytest.mark.parametrize("url", ["http://connect:8083", "https://connect/base/", "connect:8083", ""])
def test_an_address_without_a_login_stays_as_it_is(url: str) -> None:
    assert without_login(url) == (url, {})


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://user:se%40cret@connect:8083/base", "https://connect:8083/base"),
        ("https://user:se@cret@connect", "https://connect"),
        ("user:se%40cret@connect:8083", "connect:8083"),
    ],
)
def test_a_login_becomes_a_header(url: str, address: str) -> None:
    assert without_login(url) == (address, LOGIN)


def test_no_piece_of_a_password_that_was_not_encoded_is_left() -> None:
    address, _ = without_login("http://user:se/cr@et?@connect:8083")
    assert address == "http://connect:8083"
