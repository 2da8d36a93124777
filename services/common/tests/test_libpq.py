"""The parameters of a URL, as libpq reads them."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from kompensa_common.libpq import (
    PARAMETERS,
    WITHOUT_EFFECT,
    UnusableUrlError,
    address_of,
    authority,
    is_clear,
    own_settings,
    parameters,
    settings_in,
)

HOST = "postgresql://ana:secret@db:5432/orders"


@pytest.mark.parametrize(
    "query",
    [
        "?sslmode=require&application_name=a%20b",
        "?application_name=a+b",
        "?sslmode=disable&sslmode=require",
        "?options=-c%20lock_timeout%3D5s",
        "?ssl=true",
        "?sslmode=disable&ssl=true",
        "?ssl=true&sslmode=disable",
        "?",
        "",
    ],
)
def test_parameters_are_those_that_libpq_finds(query: str) -> None:
    found = {name: str(value) for name, value in conninfo_to_dict(HOST + query).items()}
    login = {"user": "ana", "password": "secret", "host": "db", "port": "5432", "dbname": "orders"}
    assert {**login, **parameters(HOST + query)} == found


@pytest.mark.parametrize("name", sorted(PARAMETERS - {"ssl"}))
def test_each_known_parameter_is_known_to_libpq(name: str) -> None:
    assert name in conninfo_to_dict(f"{HOST}?{name}=1")


def test_values_without_effect_belong_to_known_parameters() -> None:
    assert {name for name, _ in WITHOUT_EFFECT} <= PARAMETERS


@pytest.mark.parametrize(
    ("query", "named"),
    [("sslmod=require", "sslmod"), ("pool_mode=session", "pool_mode"), ("sslmode", "sslmode"), ("ssl=1", "ssl")],
)
def test_an_unusable_parameter_is_named_without_its_value(query: str, named: str) -> None:
    with pytest.raises(UnusableUrlError) as rejected:
        parameters(f"{HOST}?{query}")
    assert f"has {named}" in str(rejected.value)
    assert query.partition("=")[2] not in str(rejected.value).replace("sslmode, for example", "") or "=" not in query


def test_a_typing_error_is_answered_with_the_name_that_was_meant() -> None:
    with pytest.raises(UnusableUrlError, match="sslrootcert"):
        parameters(f"{HOST}?sslrotcert=/ca.pem")


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("-c lock_timeout=5s", {"lock_timeout": "5s"}),
        ("-clock_timeout=5s --search-path=a,b", {"lock_timeout": "5s", "search_path": "a,b"}),
        (r"-c search_path=my\ schema", {"search_path": "my schema"}),
        ("-c Jit=off -c jit=on", {"jit": "on"}),
        ("endpoint=ep-1", {}),
        ("-e -B 5", {}),
    ],
)
def test_settings_are_read_from_options(options: str, settings: dict[str, str]) -> None:
    assert settings_in(options) == settings


def test_our_settings_give_way_to_those_of_the_url() -> None:
    ours = {"search_path": "orders", "TimeZone": "UTC", "lock_timeout": "3s"}
    url = f"{HOST}?options=-c%20timezone%3DEurope/Berlin%20-c%20lock_timeout%3D1s"
    assert own_settings(url, ours) == {"search_path": "orders"}
    assert own_settings(HOST, ours) == ours


@pytest.mark.parametrize(
    ("hosts", "ports", "written"),
    [
        ("one", "", "one"),
        ("one,two", "5433", "one:5433,two:5433"),
        ("one,two", "1,2", "one:1,two:2"),
        ("fd00::1,two", "1,", "[fd00::1]:1,two"),
        ("/run/postgresql", "5432", "%2Frun%2Fpostgresql:5432"),
    ],
)
def test_hosts_and_ports_become_the_authority_of_a_url(hosts: str, ports: str, written: str) -> None:
    assert authority(hosts, ports) == written


def test_ports_for_some_hosts_only_are_rejected() -> None:
    with pytest.raises(UnusableUrlError, match="2 ports for 3 hosts"):
        authority("one,two,three", "1,2")


@pytest.mark.parametrize("url", [HOST, "postgres://", "postgresql:///d?host=/run", "postgresql://a:1,[::1]:2/d"])
def test_a_clear_url(url: str) -> None:
    assert is_clear(url)


@pytest.mark.parametrize("url", ["postgresql://u:p?ss@h/d", "postgresql://u:p@ss@h/d", "http://h", "host=h"])
def test_an_unclear_url(url: str) -> None:
    assert not is_clear(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host:5432/db",
        "postgresql://user:secret@host:5432/db?sslmode=require",
        "postgresql://host:5432/db?user=x&password=secr@et",
        "postgresql://user:secret@host:5432/db?options=a@b",
    ],
)
def test_an_address_never_shows_a_login(url: str) -> None:
    assert address_of(url) == "host:5432/db"
