"""Keeps Python's own `operator` module from being replaced by the folder of that name.

pytest's importlib mode names a test module by its path and imports the parents of that name: for operator/tests/... a
package `operator`. A module that already has a `__path__` is taken as it is.
"""

import operator
from pathlib import Path

operator.__path__ = [str(Path(__file__).parent / "operator")]
