"""Everything that a distribution needs at run time, by walking the metadata of installed packages.

Run by the environment's own Python (`.venv/bin/python -m images.setup.closure NAME..`): it is the one place here that
needs a package, `packaging`, to judge markers such as `sys_platform == "win32"`. Prints one name a line; the
distributions of this workspace are walked through but not printed.
"""

import sys
from collections.abc import Iterable
from importlib.metadata import distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(roots: Iterable[str], own: frozenset[str]) -> list[str]:
    """Names of all distributions below `roots`, without those in `own`."""
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(name) for name in roots]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            parsed = [Requirement(text) for text in distribution(name).requires or []]
            waiting += [child for child in parsed if child.marker is None or child.marker.evaluate({"extra": extra})]
    return sorted({name for name, _ in seen} - own)


if __name__ == "__main__":
    own_names, *root_names = sys.argv[1:]
    print("\n".join(closure(root_names, frozenset(own_names.split(",")))))
