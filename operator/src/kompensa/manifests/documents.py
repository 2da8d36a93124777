"""Objects of our kinds in YAML files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kompensa.manifests.yaml_reader import documents

API_VERSION = "kompensa.dev/v1alpha1"
DEFAULT_NAMESPACE = "shop"
Spec = dict[str, Any]


class ManifestError(ValueError):
    """A file or an object in it cannot be read; the text names it and what to do."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """One object of our kinds, and its file."""

    kind: str
    namespace: str
    name: str
    spec: Spec
    source: str

    @property
    def object(self) -> dict[str, Any]:
        """The object as the API server would hand it out."""
        metadata = {"name": self.name, "namespace": self.namespace}
        return {"apiVersion": API_VERSION, "kind": self.kind, "metadata": metadata, "spec": self.spec}

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def yaml_files(places: Iterable[Path]) -> list[Path]:
    """The YAML files among and below these places, in a stable order.

    Raises
    ------
    ManifestError
        When a place does not exist.
    """
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise ManifestError(f"{place}: no such file or folder")
        found += sorted([*place.rglob("*.yaml"), *place.rglob("*.yml")]) if place.is_dir() else [place]
    return found


def load(places: Iterable[Path]) -> list[Document]:
    """Every object of our group in these files; of two with one kind and name the later one counts.

    Raises
    ------
    ManifestError
        When a file cannot be read or is not YAML, or an object of our kinds lacks a name or a spec; the text
        names file and object.
    """
    found: dict[tuple[str, str, str], Document] = {}
    for path in yaml_files(places):
        for document in parse(_text(path), source=str(path)):
            found[document.kind, document.namespace, document.name] = document
    return list(found.values())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is not text in UTF-8 (byte {error.start + 1}): save it as UTF-8") from None
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from None


def parse(text: str, *, source: str) -> list[Document]:
    """The objects of our group in a YAML text; other objects are ignored."""
    try:
        roots = [root for root in documents(text) if isinstance(root, dict)]
    except (yaml.YAMLError, RecursionError) as error:
        raise ManifestError(f"{source} is not valid YAML: {' '.join(str(error).split())}") from None
    items = [item for root in roots for item in _items(root)]
    return [_document(item, source) for item in items if item.get("apiVersion") == API_VERSION]


def _items(root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The objects of a List, or of a list of one kind such as SagaList; else the object itself."""
    items = root.get("items")
    if not str(root.get("kind")).endswith("List") or not isinstance(items, list):
        return [root]
    return [item for item in items if isinstance(item, dict)]


def of_kind(documents: Iterable[Document], kind: str) -> list[Document]:
    return [document for document in documents if document.kind == kind]


def _document(item: Mapping[str, Any], source: str) -> Document:
    kind, metadata, spec = item.get("kind"), item.get("metadata"), item.get("spec")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name") or str(metadata.get("generateName") or "").rstrip("-")
    if not isinstance(kind, str) or not name:
        raise ManifestError(f"{source}: an object of {API_VERSION} lacks kind or metadata.name")
    if not isinstance(name, str):
        raise ManifestError(f"{source}: metadata.name of {kind} is {name!r}, expected text: put it in quotes")
    if not isinstance(spec, dict):
        raise ManifestError(f"{source}: {kind} {name} has no spec")
    namespace = str(metadata.get("namespace") or DEFAULT_NAMESPACE)
    return Document(kind=kind, namespace=namespace, name=name, spec=spec, source=source)
