"""Class data archives of Kafka and Connect: recorded by one trial run, kept in the cache, used by every later start."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kompensa_dev.cache import product
from kompensa_dev.connect import ConnectWorker
from kompensa_dev.java import Libraries, java
from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.run import Run


@dataclass(frozen=True)
class Archives:
    """JVM flags that use an archive."""

    kafka: Sequence[str]
    connect: Sequence[str]


def archives(libraries: Libraries) -> Archives:
    """Flags for both programs; the first call on a machine takes some ten seconds."""
    names = [
        java(),
        *(str(jar) for place in (libraries.kafka, libraries.connect) for jar in sorted(place.glob("*.jar"))),
    ]
    key = hashlib.sha256("\n".join([str(Path(names[0]).resolve()), *names]).encode()).hexdigest()[:12]
    folder = product("java-archives", key, lambda scratch: _record(libraries, scratch))
    return Archives(*((f"-XX:SharedArchiveFile={folder}/{name}.jsa", "-Xlog:cds=off") for name in ("kafka", "connect")))


def _record(libraries: Libraries, folder: Path) -> None:
    with Run.open() as run:
        kafka = KafkaBroker(run, libraries, archive=_recording(run, "kafka"))
        connect = ConnectWorker(run, libraries, kafka, archive=_recording(run, "connect"))
        for process in (connect.process, kafka.process):
            process.stop(timeout=60)
        for name in ("kafka", "connect"):
            shutil.move(run.folder / f"{name}.jsa", folder)


def _recording(run: Run, name: str) -> Sequence[str]:
    return (f"-XX:ArchiveClassesAtExit={run.folder}/{name}.jsa", "-Xlog:cds=off", "-Xlog:cds+dynamic=off")
