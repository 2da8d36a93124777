"""Loopback ports: the wanted one when it is free, otherwise any other.

A port is found free by binding it, and given up again before the program takes it. In that gap another program may
take it; ours then fails to start and says so. Within one process no port is ever given out twice.
"""

import errno
import socket
from dataclasses import dataclass, field
from threading import Lock

HOST = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still in TIME_WAIT can be listened on.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


_GIVEN: set[int] = set()
_LOCK = Lock()


@dataclass
class Ports:
    """Gives out ports, one name at a time; `moved` has the names that did not get the port that they asked for."""

    moved: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, name: str, wanted: int | None = None) -> int:
        """Return a free port, the wanted one if possible."""
        with _LOCK:
            port = wanted if wanted and wanted not in _GIVEN and is_free(wanted) else self._any()
            if wanted and port != wanted:
                self.moved[name] = (wanted, port)
            _GIVEN.add(port)
            return port

    def _any(self) -> int:
        while True:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.bind((HOST, 0))
                port = int(probe.getsockname()[1])
            if port not in _GIVEN:
                return port
