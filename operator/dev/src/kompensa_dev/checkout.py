"""The checkout that the local stack runs from: its manifests, its services and its image recipes."""

from pathlib import Path

from kompensa_dev.errors import DevError


def checkout() -> Path:
    """The root of the checkout this package is installed from, or the one of the current folder.

    Raises
    ------
    DevError
        When there is neither.
    """
    for start in (Path(__file__).resolve(), Path.cwd()):
        for folder in start.parents if start.is_file() else (start, *start.parents):
            if (folder / "manifests").is_dir() and (folder / "images" / "versions.toml").is_file():
                return folder
    raise DevError("no checkout of Kompensa found: run this from inside one (git clone, then `make try`)")
