"""Hands objects to an engine over its API, without an operator.

Participants and definitions are declared as in the YAML, without an object's uid, so that no operator withdraws them. A
Saga is started under its own name. The engine does not know Outboxes and Replicas; the local stack serves them itself.
"""

from collections.abc import Callable, Sequence

from kompensa.client.engine_client import EngineClient, EngineProblemError
from kompensa.manifests.documents import Document, of_kind

Say = Callable[[str], None]
TokenOf = Callable[[Document], str | None]
FOR_ENGINE = ("Participant", "SagaDefinition", "Saga")


class ObjectRefusedError(Exception):
    """The engine rejects an object; the text names it, its file and every fault."""


def no_token(_: Document) -> str | None:
    """The token of a Participant outside of a cluster, where no Secret can be read."""
    return None


async def apply_documents(
    client: EngineClient, documents: Sequence[Document], say: Say, *, token_of: TokenOf = no_token
) -> None:
    """Apply participants, then definitions, then sagas; report each in a line.

    Parameters
    ----------
    token_of
        Returns the token that the `tokenSecretRef` of a Participant names, None if it cannot be read here.

    Raises
    ------
    ObjectRefusedError
        If the engine rejects one; the text names the object, its file and every fault.
    """
    for document in (document for kind in FOR_ENGINE for document in of_kind(documents, kind)):
        try:
            say(await _apply(client, document, token_of))
        except EngineProblemError as problem:
            raise ObjectRefusedError(f"{document.source}: {document} is rejected: {problem_text(problem)}") from None


async def _apply(client: EngineClient, document: Document, token_of: TokenOf) -> str:
    if document.kind == "Participant":
        token = token_of(document)
        await client.put_participant(document.namespace, document.name, document.spec, token=token)
        named = "tokenSecretRef" in document.spec and token is None
        unread = "; its tokenSecretRef is not read outside of a cluster" if named else ""
        return f"{document} at {document.spec.get('url')}{unread}"
    if document.kind == "SagaDefinition":
        revision = await client.put_definition(document.namespace, document.name, document.spec)
        return f"{document} revision {revision}"
    view = await client.start_saga(document.namespace, saga_request(document))
    return f"{document} started, id {view.get('id')}"


def saga_request(saga: Document) -> dict[str, object]:
    """A Saga object as the engine's API takes it."""
    spec = saga.spec
    copied = ("input", "idempotencyKey", "suspend", "cancel", "deletionPolicy", "ttlSecondsAfterFinished")
    definition = (spec.get("definitionRef") or {}).get("name")
    return {"definition": definition, "name": saga.name, **{key: spec[key] for key in copied if key in spec}}


def problem_text(problem: EngineProblemError) -> str:
    """A problem's detail, and each of its errors when it lists several."""
    errors = problem.members.get("errors")
    lines = [str(error.get("message", error) if isinstance(error, dict) else error) for error in errors or []]
    return "; ".join([problem.detail, *(line for line in lines if line not in problem.detail)])
