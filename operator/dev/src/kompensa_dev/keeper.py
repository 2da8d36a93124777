"""`python -m kompensa_dev.keeper FOLDER`: waits until its starter is gone, then clears up after it.

It learns of the end by the closing of its standard input, which the kernel does even after SIGKILL. A death signal set
in each child (PR_SET_PDEATHSIG) would do on Linux only, and would fire when the *thread* that started it ends.
"""

import shutil
import signal
import sys
from pathlib import Path

from kompensa_dev.leftovers import end_recorded


def main() -> None:
    folder, lifetime = Path(sys.argv[1]), sys.argv[2]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    if folder.is_dir():
        end_recorded(folder)
        if lifetime == "temporary":
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
