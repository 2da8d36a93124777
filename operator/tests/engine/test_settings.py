"""An engine's settings from its environment, and the errors for those that cannot be read."""

import pytest

from kompensa.engine.settings import Settings, SettingsError

URL = {"KOMPENSA_JOURNAL_URL": "postgresql://user:secret@host/db"}


def test_the_journals_address_is_all_that_must_be_said() -> None:
    settings = Settings.read(URL)
    assert (settings.api_port, settings.lease_ttl, settings.api_token, settings.status) == (8080, 5.0, None, "none")


def test_everything_can_be_said() -> None:
    said = {
        "KOMPENSA_API_PORT": "9000",
        "KOMPENSA_API_TOKEN": "t",
        "KOMPENSA_LEASE_TTL": "1500ms",
        "KOMPENSA_RETENTION": "1d12h",
        "KOMPENSA_MAX_IN_FLIGHT": "7",
        "KOMPENSA_ENGINE_NAME": "one",
        "KOMPENSA_STATUS": "kubernetes",
    }
    settings = Settings.read(URL | said)
    assert (settings.api_port, settings.api_token, settings.lease_ttl) == (9000, "t", 1.5)
    assert (settings.retention, settings.max_in_flight, settings.engine_name) == (129_600.0, 7, "one")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KOMPENSA_JOURNAL_URL", ""),
        ("KOMPENSA_JOURNAL_URL", "mysql://host/db"),
        ("KOMPENSA_API_PORT", "0"),
        ("KOMPENSA_API_PORT", "http"),
        ("KOMPENSA_API_PORT", "70000"),
        ("KOMPENSA_LEASE_TTL", "five seconds"),
        ("KOMPENSA_RETENTION", "7"),
        ("KOMPENSA_RETENTION", "xd"),
        *[
            ("KOMPENSA_RETENTION", text)
            for text in ("-1d", "infd", "nand", "1e3d", "0s", "0d", "0d0s", "1d-5s", "9999d")
        ],
        ("KOMPENSA_DRAIN", "9" * 400 + "s"),
        ("KOMPENSA_STATUS", "docker"),
        ("LOG_LEVEL", "verbose"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_was_expected(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        Settings.read(URL | {variable: value})


@pytest.mark.parametrize(
    "rest",
    [
        "user:secret@host:5432/db",
        "user:se%2Fcr%40et@host/db",
        "host/db",
        "user@one:1,two:2/db?target_session_attrs=read-write",
        "user:secret@[::1]:5432/db?sslmode=verify-full",
        "/db?host=/var/run/postgresql",
    ],
)
def test_a_url_as_postgresql_has_it_is_taken(rest: str) -> None:
    assert Settings.read({"KOMPENSA_JOURNAL_URL": f"postgresql://{rest}"}).journal_url.endswith(rest)


@pytest.mark.parametrize(
    "rest",
    [
        "user:se/cret@host/db",
        "user:se@cret@host/db",
        "user:se#cret@host/db",
        "user:se?cret@host/db",
        "user:secret@[host/db",
        "user:secret@host:port/db",
        "user:secret @host/db",
    ],
)
def test_a_url_that_drivers_would_read_otherwise_is_refused_and_not_quoted(rest: str) -> None:
    with pytest.raises(SettingsError, match="KOMPENSA_JOURNAL_URL") as refused:
        Settings.read({"KOMPENSA_JOURNAL_URL": f"postgresql://{rest}"})
    assert "cret" not in str(refused.value)
    assert "host:port/db" not in str(refused.value)


def test_secrets_are_not_shown() -> None:
    shown = repr(Settings.read(URL | {"KOMPENSA_API_TOKEN": "hush"}))
    assert "secret" not in shown
    assert "hush" not in shown


def test_a_log_level_is_read_in_whatever_case() -> None:
    assert Settings.read(URL | {"LOG_LEVEL": "Warning"}).log_level == "warning"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KOMPENSA_HTTP_CLIENT", "curl"),
        ("KOMPENSA_HTTP_PROXY", "http://proxy:3128"),
        ("KOMPENSA_TLS_CA_FILE", "/nowhere/ca.pem"),
        ("KOMPENSA_TLS_CERTIFICATE_FILE", __file__),
    ],
)
def test_a_setting_of_the_http_client_that_cannot_be_used_is_rejected_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.read({"KOMPENSA_JOURNAL_URL": "postgresql://there", name: value})
