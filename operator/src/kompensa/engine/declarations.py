"""Participants and definitions: kept in the journal, compiled in memory.

A definition is compiled with what its participants declare (idempotency, time-outs), and both are stored together
under the revision: an engine that takes a saga over compiles exactly what the saga was started with. A participant's
address and its token are looked up at each call instead: a service may move under a running saga.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import msgspec
import structlog

from kompensa.engine.errors import DefinitionInvalidError, ParticipantInvalidError, UnknownDefinitionError
from kompensa.journal.port import Catalogue
from kompensa.journal.records import DefinitionRow, ParticipantRow
from kompensa.model.definition import Definition
from kompensa.model.linter import lint
from kompensa.model.parsing import (
    SpecError,
    compile_definition,
    parse_definition,
    parse_participant,
    read_participant,
)
from kompensa.model.specs import ParticipantSpec
from kompensa.transport.port import Participant

_log = structlog.get_logger(__name__)
Key = tuple[str, str]
T = TypeVar("T")
Row = TypeVar("Row", ParticipantRow, DefinitionRow)


class _Declared(msgspec.Struct, frozen=True):
    """The stored form of a revision: the spec as given, and the specs of the participants that it names."""

    spec: dict[str, Any]
    participants: dict[str, dict[str, Any]]


class DeclaredObject(msgspec.Struct, frozen=True, kw_only=True):
    """A Kubernetes object that something was declared by."""

    kind: Literal["Participant", "SagaDefinition"]
    namespace: str
    name: str
    uid: str


class Declarations:
    """Answers from memory; writes through to the journal.

    Before a change everything is read again: a declaration that another engine took on a moment ago must not be undone
    or missed. `object_uid` is the uid of the Kubernetes object that declares; it is None for a person or a file. The
    last one to declare a name has it.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._turn = asyncio.Lock()
        self._loads = 0
        self._participants: dict[Key, tuple[ParticipantRow, ParticipantSpec]] = {}
        self._addresses: dict[Key, Participant] = {}
        self._current: dict[Key, Definition] = {}
        self._specs: dict[Key, dict[str, Any]] = {}
        self._declared_by: dict[Key, str | None] = {}
        self._revisions: dict[tuple[str, str, str], Definition] = {}

    async def load(self) -> None:
        """Read all current declarations again; another engine may have changed them."""
        async with self._turn:
            await self._load()

    async def _load(self) -> None:
        self._loads += 1
        participants = await self._catalogue.participants()
        definitions = await self._catalogue.definitions()
        self._participants = _readable(participants, lambda row: (row, _participant_spec(row.spec)))
        self._addresses = {key: _address(row, spec) for key, (row, spec) in self._participants.items()}
        self._current = _readable(definitions, self._compiled)
        kept = {key: row for row in definitions if (key := (row.namespace, row.name)) in self._current}
        self._specs = {key: _declared(row).spec for key, row in kept.items()}
        self._declared_by = {key: row.object_uid for key, row in kept.items()}

    def participant(self, namespace: str, name: str) -> Participant | None:
        """The participant's present address and token, or None if it is not declared."""
        return self._addresses.get((namespace, name))

    def participants(self, namespace: str) -> dict[str, dict[str, Any]]:
        """The specs of a namespace's participants by name, without their tokens."""
        return {name: msgspec.json.decode(row.spec) for (_, name), (row, _) in self._of(namespace)}

    def definitions(self, namespace: str) -> dict[str, tuple[str, dict[str, Any]]]:
        """Revision and spec of a namespace's current definitions by name."""
        found = sorted(key for key in self._current if key[0] == namespace)
        return {key[1]: (self._current[key].revision, self._specs[key]) for key in found}

    def objects(self) -> list[DeclaredObject]:
        """The objects of all namespaces that declared something, whether they still exist or not."""
        participants = {key: row.object_uid for key, (row, _) in self._participants.items()}
        return [
            *(
                DeclaredObject(kind="Participant", namespace=n, name=m, uid=u)
                for (n, m), u in participants.items()
                if u
            ),
            *(
                DeclaredObject(kind="SagaDefinition", namespace=n, name=m, uid=u)
                for (n, m), u in self._declared_by.items()
                if u
            ),
        ]

    def current(self, namespace: str, name: str) -> Definition:
        """The definition that new sagas are started with.

        Raises
        ------
        UnknownDefinitionError
            There is no definition of that name.
        """
        definition = self._current.get((namespace, name))
        if definition is None:
            there = ", ".join(self.definitions(namespace)) or "none"
            raise UnknownDefinitionError(
                f"there is no SagaDefinition {name} in namespace {namespace} (there are: {there}); apply it first"
            )
        return definition

    async def found(self, namespace: str, name: str) -> Definition:
        """The same, even if another engine took it on a moment ago.

        One reading serves all callers that asked before it began, so that a flood of wrong names does not cause a flood
        of readings.

        Raises
        ------
        UnknownDefinitionError
            There is no definition of that name.
        """
        if (namespace, name) not in self._current:
            loads = self._loads
            async with self._turn:
                if self._loads == loads:
                    await self._load()
        return self.current(namespace, name)

    async def revision(self, namespace: str, name: str, revision: str) -> Definition:
        """The definition that a saga was started with.

        Raises
        ------
        UnknownDefinitionError
            The journal does not have this revision.
        """
        known = self._revisions.get((namespace, name, revision))
        if known is not None:
            return known
        row = await self._catalogue.definition(namespace, name, revision)
        if row is None:
            raise UnknownDefinitionError(f"revision {revision} of {namespace}/{name} is not in the journal")
        return self._compiled(row)

    async def put_participant(
        self,
        namespace: str,
        name: str,
        spec: Mapping[str, Any],
        token: str | None = None,
        *,
        object_uid: str | None = None,
    ) -> None:
        """Take on a participant; definitions that name it get a new revision if what it declares has changed.

        A definition that no longer fits the participant keeps its revision; applying it again shows its errors.

        Raises
        ------
        ParticipantInvalidError
            The spec cannot be read, or the token cannot be sent.
        """
        try:
            parsed = parse_participant(spec)
        except SpecError as error:
            raise ParticipantInvalidError(str(error)) from error
        if token is not None and not _sendable(token):
            raise ParticipantInvalidError(
                "token: expected one line of printable characters, without spaces before or after it, as it stands "
                "behind `Authorization: Bearer`"
            )
        text = _text(dict(spec))
        row = ParticipantRow(namespace=namespace, name=name, spec=text, token=token, object_uid=object_uid)
        async with self._turn:
            await self._load()
            await self._put_participant(row, parsed)
            # Even if the participant is known: the engine that put it may have stopped before this.
            while not await self._definitions_follow(namespace, name):
                await self._load()

    async def _put_participant(self, row: ParticipantRow, parsed: ParticipantSpec) -> None:
        namespace, name = row.namespace, row.name
        known = self._participants.get((namespace, name))
        if known is None or known[0] != row:
            await self._catalogue.put_participant(row)
            self._participants[namespace, name] = (row, parsed)
            self._addresses[namespace, name] = _address(row, parsed)

    async def _definitions_follow(self, namespace: str, participant: str) -> bool:
        """Compile again the definitions that name a participant; False if another engine changed one in between."""
        for key, old in list(self._current.items()):
            if key[0] != namespace or all(step.participant != participant for step in old.steps):
                continue
            spec = self._specs[key]
            try:
                new = self._checked(*key, spec)
            except DefinitionInvalidError as error:
                _log.warning(
                    "a definition no longer fits its participant",
                    namespace=namespace,
                    definition=old.name,
                    participant=participant,
                    findings=error.findings,
                )
                continue
            if new.revision != old.revision and not await self._store(
                new, spec, self._declared_by[key], instead_of=old.revision
            ):
                return False
        return True

    async def delete_participant(self, namespace: str, name: str, *, object_uid: str | None = None) -> bool:
        """Forget a participant, with `object_uid` only if that object declared it; return whether it was there.

        Sagas that still need it are parked when they call it.
        """
        async with self._turn:
            if not await self._catalogue.delete_participant(namespace, name, object_uid=object_uid):
                return False
            self._participants.pop((namespace, name), None)
            self._addresses.pop((namespace, name), None)
            return True

    async def put_definition(
        self, namespace: str, name: str, spec: Mapping[str, Any], *, object_uid: str | None = None
    ) -> str:
        """Take on a definition and return its revision.

        Raises
        ------
        DefinitionInvalidError
            The definition cannot be run; the error has every finding.
        """
        key = (namespace, name)
        async with self._turn:
            await self._load()
            definition = self._checked(namespace, name, spec)
            current = self._current.get(key)
            if current is None or current.revision != definition.revision or self._declared_by[key] != object_uid:
                await self._store(definition, spec, object_uid)
            self._specs[key] = dict(spec)
            return definition.revision

    def _checked(self, namespace: str, name: str, spec: Mapping[str, Any]) -> Definition:
        """Compile a definition with the participants as they are now.

        Raises
        ------
        DefinitionInvalidError
            The definition cannot be run; the error has every finding.
        """
        try:
            parsed = parse_definition(spec)
        except SpecError as error:
            raise DefinitionInvalidError([str(error)]) from error
        known = {participant: spec for (_, participant), (_, spec) in self._of(namespace)}
        findings = lint(parsed, known)
        if findings:
            raise DefinitionInvalidError(findings)
        return compile_definition(namespace=namespace, name=name, spec=parsed, participants=known)

    async def _store(
        self,
        definition: Definition,
        spec: Mapping[str, Any],
        object_uid: str | None,
        *,
        instead_of: str | None = None,
    ) -> bool:
        """Make it the current one, see `Catalogue.put_definition`."""
        named = {step.participant for step in definition.steps}
        participants = {name: value for name, value in self.participants(definition.namespace).items() if name in named}
        row = DefinitionRow(
            namespace=definition.namespace,
            name=definition.name,
            revision=definition.revision,
            spec=_text(_Declared(dict(spec), participants)),
            current=True,
            object_uid=object_uid,
        )
        if not await self._catalogue.put_definition(row, instead_of=instead_of):
            return False
        self._keep(definition)
        key = (definition.namespace, definition.name)
        self._current[key] = definition
        self._specs[key] = dict(spec)
        self._declared_by[key] = object_uid
        return True

    async def delete_definition(self, namespace: str, name: str, *, object_uid: str | None = None) -> bool:
        """Start no more sagas by this definition; running sagas keep their revision.

        With `object_uid`, this is done only if that object declared it. Return whether the definition was there.
        """
        async with self._turn:
            if not await self._catalogue.delete_definition(namespace, name, object_uid=object_uid):
                return False
            self._current.pop((namespace, name), None)
            self._specs.pop((namespace, name), None)
            self._declared_by.pop((namespace, name), None)
            return True

    def _of(self, namespace: str) -> list[tuple[Key, tuple[ParticipantRow, ParticipantSpec]]]:
        return sorted((item for item in self._participants.items() if item[0][0] == namespace), key=lambda i: i[0])

    def _compiled(self, row: DefinitionRow) -> Definition:
        known = self._revisions.get((row.namespace, row.name, row.revision))
        if known is not None:
            return known
        declared = _declared(row)
        definition = compile_definition(
            namespace=row.namespace,
            name=row.name,
            spec=parse_definition(declared.spec),
            participants={name: read_participant(spec) for name, spec in declared.participants.items()},
        )
        # The name it was stored under counts: a later version may compute another from the same spec.
        return self._keep(msgspec.structs.replace(definition, revision=row.revision))

    def _keep(self, definition: Definition) -> Definition:
        self._revisions[definition.namespace, definition.name, definition.revision] = definition
        return definition


def _readable(rows: Sequence[Row], read: Callable[[Row], T]) -> dict[Key, T]:
    """The readable rows. One row that this version cannot read must not keep the others from being used."""
    found = {}
    for row in rows:
        try:
            found[row.namespace, row.name] = read(row)
        except Exception:
            _log.exception("a declaration cannot be read; apply it again", namespace=row.namespace, name=row.name)
    return found


def _declared(row: DefinitionRow) -> _Declared:
    return msgspec.json.decode(row.spec, type=_Declared)


def _participant_spec(text: str) -> ParticipantSpec:
    return read_participant(msgspec.json.decode(text))


def _address(row: ParticipantRow, spec: ParticipantSpec) -> Participant:
    return Participant(
        namespace=row.namespace,
        name=row.name,
        endpoint=spec.endpoint,
        max_in_flight=spec.max_in_flight,
        token=row.token,
    )


def _sendable(token: str) -> bool:
    return bool(token) and token.isprintable() and token == token.strip()


def _text(value: Any) -> str:
    text: bytes = msgspec.json.encode(value)
    return text.decode()
