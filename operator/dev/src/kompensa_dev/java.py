"""Starting JVM programs from folders of jars, quickly and small.

Class data sharing halves their start: the first use on a machine runs each program once to record an archive
(see `java_archives.py`), later starts map it. C1 alone is enough for a broker that lives for minutes, and leaves the
second core to others.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kompensa_dev.checkout import checkout
from kompensa_dev.errors import DevError

FETCH_SECONDS = 600.0
_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k")
_LOGGING = """status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %-5p %c{1} %m%n
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
"""


@dataclass(frozen=True)
class Libraries:
    """Folders of jars: the broker's, the Connect worker's, and the plugins that the worker loads."""

    kafka: Path
    connect: Path
    plugins: Path


def libraries() -> Libraries:
    """Fetch missing jars (once on a machine) and return their folders.

    Raises
    ------
    DevError
        When the set-up could not, with its words.
    """
    argv = [sys.executable, "-m", "images", "jars"]
    try:
        made = subprocess.run(argv, cwd=checkout(), capture_output=True, text=True, timeout=FETCH_SECONDS, check=True)
    except subprocess.CalledProcessError as error:
        raise DevError(f"the jars of Kafka and Connect could not be fetched: {error.stderr.strip()}") from None
    except subprocess.TimeoutExpired:
        raise DevError(f"the jars of Kafka and Connect were not there after {FETCH_SECONDS:.0f} s: try again") from None
    places = json.loads(made.stdout)
    return Libraries(*(Path(places[name]) for name in ("kafka", "connect", "debezium")))


def java() -> str:
    """The `java` program: JAVA_HOME's, else the one on PATH.

    Raises
    ------
    DevError
        With the command that installs it.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    if found := found or shutil.which("java"):
        return found
    raise DevError(
        "Java (17 or newer) is not installed: on Debian or Ubuntu run "
        "`sudo apt-get install -y --no-install-recommends openjdk-17-jre-headless`, on macOS `brew install openjdk`"
    )


def command(jars: Path, main: str, *arguments: str, folder: Path, heap: str, archive: Sequence[str] = ()) -> list[str]:
    """The command line of a JVM program; `folder` is where its logging configuration is written.

    The class path is spelt out in a fixed order, because an archive fits one exact class path only.
    """
    logging = folder / "log4j2.properties"
    logging.write_text(_LOGGING, encoding="utf-8")
    class_path = os.pathsep.join(str(jar) for jar in sorted(jars.glob("*.jar")))
    flags = (*_FLAGS, f"-Xmx{heap}", f"-Dlog4j2.configurationFile={logging}", *archive)
    return [java(), *flags, "-cp", class_path, main, *arguments]
