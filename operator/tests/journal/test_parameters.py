"""The journal's URL as arguments of asyncpg: each parameter of libpq is honoured, or rejected by name."""

import ssl
from inspect import signature

import pytest
from asyncpg import connect_utils

from kompensa.journal.postgres.parameters import CONNECT_TIMEOUT_SECONDS, Arguments, arguments
from kompensa_common.libpq import PARAMETERS, UnusableUrlError

HOST = "postgresql://ana:secret@db:5432/orders"
HONOURED = {
    "application_name": "shop",
    "client_encoding": "UTF8",
    "connect_timeout": "3",
    "dbname": "other",
    "fallback_application_name": "shop",
    "gsslib": "gssapi",
    "host": "elsewhere",
    "krbsrvname": "postgres",
    "options": "-c%20jit%3Don",
    "passfile": "/pgpass",
    "password": "p",
    "port": "5433",
    "service": "shop",
    "ssl": "true",
    "ssl_max_protocol_version": "TLSv1.3",
    "ssl_min_protocol_version": "TLSv1.2",
    "sslcert": "/cert",
    "sslcrl": "/crl",
    "sslkey": "/key",
    "sslmode": "verify-full",
    "sslnegotiation": "direct",
    "sslpassword": "p",
    "sslrootcert": "/ca",
    "target_session_attrs": "read-write",
    "user": "bea",
}


def given(query: str) -> Arguments:
    return arguments(f"{HOST}?{query}", application="engine")


@pytest.mark.parametrize("name", sorted(HONOURED))
def test_a_parameter_that_asyncpg_can_honour_is_taken(name: str) -> None:
    arguments(f"postgresql://?{name}={HONOURED[name]}", application="engine")


@pytest.mark.parametrize("name", sorted(PARAMETERS - set(HONOURED)))
def test_a_parameter_that_it_cannot_honour_is_rejected_by_name(name: str) -> None:
    with pytest.raises(UnusableUrlError, match=f"has {name}, "):
        given(f"{name}=2")


@pytest.mark.parametrize(
    ("name", "harmless", "meant"),
    [
        ("channel_binding", "prefer", "require"),
        ("client_encoding", "utf8", "latin1"),
        ("gssencmode", "disable", "require"),
        ("load_balance_hosts", "disable", "random"),
        ("sslcompression", "0", "1"),
        ("sslsni", "1", "0"),
    ],
)
def test_a_value_without_effect_is_taken_and_others_are_rejected(name: str, harmless: str, meant: str) -> None:
    given(f"{name}={harmless}")
    with pytest.raises(UnusableUrlError, match=name):
        given(f"{name}={meant}")


def test_a_parameter_that_libpq_does_not_know_is_rejected() -> None:
    with pytest.raises(UnusableUrlError, match="search_path"):
        given("search_path=x")


@pytest.mark.parametrize(
    ("query", "name"),
    [("", "engine"), ("application_name=a+b", "a+b"), ("fallback_application_name=f", "f")],
)
def test_the_name_of_the_url_replaces_ours(query: str, name: str) -> None:
    assert given(query).startup["application_name"] == name


def test_options_are_sent_as_they_are_and_read_as_settings() -> None:
    found = given("options=-c%20jit%3Don%20-c%20lock_timeout%3D1s")
    assert found.startup["options"] == "-c jit=on -c lock_timeout=1s"
    assert found.settings == {"jit": "on", "lock_timeout": "1s"}


@pytest.mark.parametrize(
    ("query", "seconds"), [("", CONNECT_TIMEOUT_SECONDS), ("connect_timeout=9", 9.0), ("connect_timeout=0", None)]
)
def test_the_time_to_connect(query: str, seconds: float | None) -> None:
    assert given(query).timeout == seconds


def test_a_time_that_is_not_a_number_is_rejected() -> None:
    with pytest.raises(UnusableUrlError, match="connect_timeout"):
        given("connect_timeout=5s")


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://a@one,two:2/d", ["one", "two:2"]),
        ("postgresql://a@/d?host=one,two&port=5,6", ["one:5", "two:6"]),
        ("postgresql://[fd00::1],two/d?port=5", ["[fd00::1]:5", "two:5"]),
        ("postgresql:///d", [""]),
    ],
)
def test_each_host_is_tried_for_itself(url: str, hosts: list[str]) -> None:
    found = arguments(url, application="engine").dsns
    assert [dsn.partition("://")[2].partition("/")[0].rpartition("@")[2] for dsn in found] == hosts


def test_any_host_will_do_if_there_is_no_standby() -> None:
    found = arguments("postgresql://one,two/d?target_session_attrs=prefer-standby", application="engine").dsns
    assert [dsn.partition("://")[2] for dsn in found] == [
        "one/d?target_session_attrs=standby",
        "two/d?target_session_attrs=standby",
        "one/d?target_session_attrs=any",
        "two/d?target_session_attrs=any",
    ]


def test_asyncpg_reads_the_rest_as_libpq_does() -> None:
    """A plus is a plus, for example in a password."""
    (dsn,) = arguments("postgresql://db?user=bea&password=a+b%26c&dbname=d", application="engine").dsns
    names = set(signature(connect_utils._parse_connect_dsn_and_args).parameters) - {"dsn"}
    _, found = connect_utils._parse_connect_dsn_and_args(dsn=dsn, **dict.fromkeys(names))
    assert (found.user, found.password, found.database) == ("bea", "a+b&c", "d")
    assert found.server_settings is None


@pytest.mark.parametrize("name", ["user", "password", "host", "port", "dbname"])
def test_a_part_that_is_there_twice_is_rejected(name: str) -> None:
    with pytest.raises(UnusableUrlError, match=f"has {name} twice"):
        given(f"{name}=5")


def test_system_means_the_authorities_of_the_machine() -> None:
    found = given("sslrootcert=system")
    assert found.tls is not None
    assert found.tls.verify_mode is ssl.CERT_REQUIRED
    assert found.tls.check_hostname
    assert "sslrootcert" not in found.dsns[0]


@pytest.mark.parametrize("query", ["sslrootcert=system&sslmode=require", "sslrootcert=system&sslcert=/c"])
def test_system_with_less_or_more_is_rejected(query: str) -> None:
    with pytest.raises(UnusableUrlError, match="sslrootcert"):
        given(query)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(given(""))
