"""The example of services/eventstore/README.md prints what the README says."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

README = Path(__file__).parents[2] / "services/eventstore/README.md"
PROGRAM = re.compile(r"^`(bottle\.py)`:\n\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHOWN = re.compile(r"^```\n\$ python3 bottle\.py \S+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SECONDS = 60


def test_the_example_prints_the_shown_output(database: Any, tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    program, shown = PROGRAM.search(text), SHOWN.search(text)
    assert program is not None
    assert shown is not None
    path = tmp_path / program[1]
    path.write_text(program[2], encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, path, database.url], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (ran.stdout, ran.stderr) == (shown[1], "")
