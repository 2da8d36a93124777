"""A worker's output is lines of JSON, also where a library is the one that speaks."""

import json
import subprocess
import sys

SPEAK = """
import logging
import structlog
from kompensa_cdc.logs import log_as_json

log_as_json("info")
structlog.get_logger().info("synced", replica="shop/customers")
logging.getLogger("aiohttp.access").info("quiet below warning")
try:
    secret = "hush"
    raise ValueError("a request that cannot be read")
except ValueError:
    logging.getLogger("aiohttp.server").exception("Error handling request")
"""


def test_what_a_library_logs_is_a_line_of_json_too() -> None:
    spoken = subprocess.run([sys.executable, "-c", SPEAK], capture_output=True, text=True, check=True)
    ours, theirs = (json.loads(line) for line in spoken.stdout.splitlines())

    assert spoken.stderr == ""
    assert (ours["event"], ours["level"], ours["replica"]) == ("synced", "info", "shop/customers")
    assert (theirs["event"], theirs["level"]) == ("Error handling request", "error")
    assert "ValueError: a request that cannot be read" in theirs["exception"]
    assert ours.keys() - {"replica"} == theirs.keys() - {"exception"}
    assert "hush" not in theirs["exception"]
