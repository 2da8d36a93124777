"""For all tests: `operator` stays Python's own module, property tests ignore the machine's speed, logs are short.

pytest's importlib mode names a test module by its path and imports the parents of that name: for operator/tests/... a
package `operator`. A module that already has a `__path__` is taken as it is.

Hypothesis fails an example that takes longer than 200 ms, or a test whose examples are drawn slowly. On a busy machine
that happens to examples that are right.

structlog prints each exception with the values of all variables, by rich. That can take longer than the test.

What has been imported and collected stays to the end, so the garbage collector need not go through it again and again.
Afterwards it runs as seldom as in the engine.
"""

import gc
import operator
from pathlib import Path

import structlog
from hypothesis import HealthCheck, settings
from structlog.dev import ConsoleRenderer, plain_traceback

settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

console = ConsoleRenderer(colors=False, exception_formatter=plain_traceback)
structlog.configure(processors=[structlog.processors.add_log_level, console])

operator.__path__ = [str(Path(__file__).parent / "operator")]


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
