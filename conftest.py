"""For all tests: Python's own `operator` module stays, and no property test depends on the machine's speed.

pytest's importlib mode names a test module by its path and imports the parents of that name: for operator/tests/... a
package `operator`. A module that already has a `__path__` is taken as it is.

Hypothesis fails an example that takes longer than 200 ms, or a test whose examples are drawn slowly. On a busy machine
that happens to examples that are right.
"""

import operator
from pathlib import Path

from hypothesis import HealthCheck, settings

settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

operator.__path__ = [str(Path(__file__).parent / "operator")]
