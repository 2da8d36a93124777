"""The event types of an aggregate: a JSON Schema for each type and version, and upcasts from old versions to new ones.

The code of a service sees only the newest version of each type. Events of older versions are converted when they are
read, by a pure function from each version to the next. The stored row never changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema_rs

from kompensa_eventstore.errors import InvalidEventError, UnknownEventError

Data = Mapping[str, Any]
Upcast = Callable[[Data], Data]
"""From the data of one version to the data of the next. It must be pure, and must not change the old data."""
LONGEST_FINDING = 200


class EventTypes:
    """The event types of one aggregate.

    Parameters
    ----------
    schemas
        By event type and version ("1.0"), the JSON Schema (draft 2020-12) of the data. References to other documents
        are rejected.
    upcasts
        By event type and older version, the function to the next version.

    Raises
    ------
    ValueError
        A schema is not valid, a version does not have the form "1.0", or an older version has no upcast.
    """

    def __init__(
        self,
        schemas: Mapping[str, Mapping[str, Data]],
        upcasts: Mapping[tuple[str, str], Upcast] | None = None,
    ) -> None:
        self._validators: dict[tuple[str, str], Any] = {}
        self._next: dict[tuple[str, str], tuple[str, Upcast]] = {}
        self.newest: dict[str, str] = {}
        """The version that is written, by type."""
        functions = dict(upcasts or {})
        for type_, versions in schemas.items():
            ordered = sorted(versions, key=_number)
            self.newest[type_] = ordered[-1]
            for version, schema in versions.items():
                self._validators[type_, version] = _validator(type_, version, schema)
            for old, new in pairwise(ordered):
                upcast = functions.pop((type_, old), None)
                if upcast is None:
                    raise ValueError(f"{type_} {old} has no upcast to {new}; add one, since old events need it")
                self._next[type_, old] = (new, upcast)
        if functions:
            known = ", ".join(f"{type_} {version}" for type_, version in self._next) or "none"
            raise ValueError(f"upcasts for {sorted(functions)} do not begin at an older version (those are: {known})")

    @classmethod
    def from_folder(cls, folder: Path, upcasts: Mapping[tuple[str, str], Upcast] | None = None) -> EventTypes:
        """Read schemas from files named `<EVENT_TYPE>-<version>.json`, for example ORDER_CREATED-1.0.json."""
        schemas: dict[str, dict[str, Data]] = {}
        for path in sorted(folder.glob("*.json")):
            type_, dash, version = path.stem.rpartition("-")
            if not dash:
                raise ValueError(f"{path}: expected a name such as ORDER_CREATED-1.0.json")
            schemas.setdefault(type_, {})[version] = json.loads(path.read_text(encoding="utf-8"))
        if not schemas:
            raise ValueError(f"{folder} has no schemas (expected files such as ORDER_CREATED-1.0.json)")
        return cls(schemas, upcasts)

    def check(self, type_: str, version: str, data: Data) -> None:
        """Check that an event may be written.

        Raises
        ------
        InvalidEventError
            The type is unknown, the version is not the newest, or the data do not match the schema.
        """
        newest = self.newest.get(type_)
        if newest is None:
            raise InvalidEventError(
                f"{type_} is not an event of this aggregate; known: {', '.join(sorted(self.newest))}"
            )
        if version != newest:
            raise InvalidEventError(f"{type_} must be written in version {newest}, not in {version}")
        error = next(self._validators[type_, version].iter_errors(data), None)
        if error is not None:
            path = ".".join(str(part) for part in error.instance_path) or "the data"
            raise InvalidEventError(f"{type_} {version}: {path}: {error.message[:LONGEST_FINDING]}")

    def upcast(self, type_: str, version: str, data: Data) -> tuple[str, Data]:
        """Convert stored data to the newest version. Return that version and the data.

        Raises
        ------
        UnknownEventError
            The type or version is unknown, so newer code wrote it.
        """
        if (type_, version) not in self._validators:
            raise UnknownEventError(
                f"{type_} {version} was written by a newer release (this one knows "
                f"{self.newest.get(type_, 'no version')}); deploy that release to read it"
            )
        while version != self.newest[type_]:
            version, function = self._next[type_, version]
            data = function(data)
        return version, data


def _number(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        raise ValueError(f"{version!r} is not a version (expected for example 1.0)")
    return tuple(int(part) for part in parts)


def _validator(type_: str, version: str, schema: Data) -> Any:
    try:
        return jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True, offline=True)
    except (ValueError, TypeError) as error:
        raise ValueError(f"the schema of {type_} {version} is not valid: {str(error).splitlines()[0]}") from error
