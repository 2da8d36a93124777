"""Every line of output is JSON, that of a library too."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from kompensa_common.logs import level_of

SPEAK = """
import logging
import structlog
from kompensa_common.logs import log_as_json

log_as_json({arguments})
structlog.get_logger("ours").info("synced", replica="shop/customers")
structlog.get_logger("ours").debug("quiet below info")
logging.getLogger("aiohttp.access").info("GET /status")
try:
    secret = "hush"
    raise ValueError("a request that cannot be read")
except ValueError:
    logging.getLogger("aiohttp.server").exception("Error handling request")
"""


def spoken(arguments: str) -> list[dict[str, Any]]:
    program = SPEAK.replace("{arguments}", arguments)
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert output.stderr == ""
    return [json.loads(line) for line in output.stdout.splitlines()]


def test_a_line_of_a_library_has_the_same_form_as_our_own() -> None:
    ours, theirs = spoken('"info", service="orders"')
    assert (ours["event"], ours["level"], ours["replica"]) == ("synced", "info", "shop/customers")
    assert (theirs["event"], theirs["level"]) == ("Error handling request", "error")
    assert (ours["logger"], theirs["logger"]) == ("ours", "aiohttp.server")
    assert ours["service"] == theirs["service"] == "orders"
    assert ours.keys() - {"replica"} == theirs.keys() - {"exception"}


def test_a_traceback_shows_no_values() -> None:
    *_, theirs = spoken('"info"')
    assert "ValueError: a request that cannot be read" in theirs["exception"]
    assert "hush" not in theirs["exception"]


def test_libraries_have_a_level_of_their_own() -> None:
    quiet = [line["logger"] for line in spoken('"warning", libraries="info"')]
    assert quiet == ["aiohttp.access", "aiohttp.server"]


@pytest.mark.parametrize(
    ("text", "level"), [("info", "info"), ("DEBUG", "debug"), ("Warning", "warning"), ("", "info"), (None, "info")]
)
def test_a_level_is_read_in_any_case(text: str | None, level: str) -> None:
    assert level_of(text) == level


def test_an_unknown_level_is_named() -> None:
    with pytest.raises(ValueError, match="LOG_LEVEL is 'loud'"):
        level_of("loud")
