"""Which process listens on a TCP port of this machine, as far as Linux' /proc shows to this user.

Only for messages, and to distinguish the engine's own processes from others: on other systems than Linux none is found.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LISTENING = "0A"


@dataclass(frozen=True)
class Listener:
    """A process that listens."""

    program: str
    pid: int

    def __str__(self) -> str:
        return f"{self.program} (pid {self.pid})"


def listener_on(port: int, proc: Path = PROC) -> Listener | None:
    """The process that listens on the port at any address; None when there is none or it may not be seen."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port, proc)}
    if not sockets:
        return None
    for folder in proc.glob("[0-9]*"):
        if sockets & set(_open_files(folder)):
            return Listener(_program(folder), int(folder.name))
    return None


def _listening_inodes(port: int, proc: Path) -> Iterator[str]:
    """Lines of /proc/net/tcp: number, local address:port in hex, remote, state, queues, timer, retransmits, uid,
    time-out, inode.
    """
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _open_files(process: Path) -> Iterator[str]:
    try:
        for entry in (process / "fd").iterdir():
            yield str(entry.readlink())
    except OSError:
        return  # ended meanwhile, or of another user


def _program(process: Path) -> str:
    try:
        return (process / "comm").read_text(encoding="utf-8").strip()
    except OSError:
        return "a process"
