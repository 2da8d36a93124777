"""Settings from the environment."""

from __future__ import annotations

import pytest

from kompensa_participant.settings import Settings, SettingsError, from_environment

URL = "postgresql://points:secret@localhost/points"


def test_only_the_database_has_no_default() -> None:
    assert from_environment({"DATABASE_URL": URL}) == Settings(database_url=URL)


def test_everything_can_be_set() -> None:
    environment = {
        "DATABASE_URL": URL,
        "HOST": "127.0.0.1",
        "PORT": "9000",
        "POOL_MIN": "2",
        "POOL_MAX": "4",
        "LOG_LEVEL": "DEBUG",
        "FAULTS_ENABLED": "True",
        "CAPTURE_ROLE": "points_capture",
        "CALLER_TOKENS_DIR": "/etc/points/callers",
        "KOMPENSA_KAFKA": "kafka:9092",
        "REACTIONS_GROUP": "shop-points",
        "TOPIC_PREFIX": "staging.",
    }
    assert from_environment(environment) == Settings(
        database_url=URL,
        host="127.0.0.1",
        port=9000,
        pool_min=2,
        pool_max=4,
        log_level="debug",
        faults_enabled=True,
        capture_role="points_capture",
        caller_tokens_dir="/etc/points/callers",
        kafka="kafka:9092",
        reactions_group="shop-points",
        topic_prefix="staging.",
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL"),
        ({"PORT": "http"}, "PORT must be a whole number"),
        ({"PORT": "-1"}, "PORT must be a whole number"),
        ({"POOL_MIN": "5", "POOL_MAX": "4"}, "POOL_MAX must be a whole number from 5"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL is 'loud'"),
        ({"FAULTS_ENABLED": "perhaps"}, "FAULTS_ENABLED must be one of true, false"),
    ],
)
def test_a_broken_setting_is_named(changes: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        from_environment({"DATABASE_URL": URL, **changes})


@pytest.mark.parametrize(
    "rest", ["u:se/cret@host/db", "u:se@cret@host/db", "u:secret@[host/db", "u:secret@host:port/db"]
)
def test_a_url_that_cannot_be_read_is_refused_and_not_quoted(rest: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL cannot be read") as refused:
        from_environment({"DATABASE_URL": f"postgresql://{rest}"})
    assert "cret" not in str(refused.value)


def test_an_empty_setting_is_one_that_is_not_given() -> None:
    assert from_environment({"DATABASE_URL": URL, "PORT": "", "CAPTURE_ROLE": ""}) == Settings(database_url=URL)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_line_end_after_a_value_is_not_part_of_it(line_end: str) -> None:
    given = {"DATABASE_URL": URL, "CAPTURE_ROLE": "points_capture", "PORT": "9000", "LOG_LEVEL": "debug"}
    assert from_environment({name: value + line_end for name, value in given.items()}) == from_environment(given)
