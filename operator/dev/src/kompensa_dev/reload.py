"""Which YAML files have changed: by their modification times, looked at twice a second."""

from collections.abc import Sequence
from pathlib import Path

from kompensa.manifests.documents import yaml_files


class Reload:
    """Remembers what it has seen; the first look finds nothing changed."""

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = places
        self._seen = self._times()

    def changed(self) -> list[Path]:
        """Files that are new or were written since the last look; a file that is gone changes nothing."""
        now = self._times()
        changed = [path for path, moment in now.items() if self._seen.get(path) != moment]
        self._seen = now
        return changed

    def _times(self) -> dict[Path, int]:
        # A place that an editor is just replacing is not there for a moment.
        files = yaml_files([place for place in self._places if place.exists()])
        return {path: path.stat().st_mtime_ns for path in files if path.exists()}
