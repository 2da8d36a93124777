"""Tokens of the shop's callers: one for each pair of caller and service, as the chart shop makes them.

callers/orders/engine          sent by the engine to orders
callers/orders/backoffice      sent by a person, a script or the demo to orders
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kompensa.manifests.documents import Document
from kompensa_dev.shop import SERVICES

CALLERS = ("engine", "backoffice")
TOKEN_BYTES = 24


@dataclass(frozen=True)
class CallerTokens:
    """The folder with a folder for each service, and its tokens by service and caller."""

    folder: Path
    by_service: Mapping[str, Mapping[str, str]]

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Write the tokens that are missing. Those of an earlier run in the same folder stay in force."""
        return cls(folder, {service: _tokens(folder / service) for service in SERVICES})

    def of_caller(self, caller: str) -> dict[str, str]:
        """The caller's tokens by service."""
        return {service: tokens[caller] for service, tokens in self.by_service.items()}

    def for_participant(self, participant: Document) -> str | None:
        """The token that the Participant's `tokenSecretRef` names, in the Secrets that the chart shop would make."""
        reference = participant.spec.get("tokenSecretRef") or {}
        service = str(reference.get("name", "")).removesuffix("-callers")
        return self.by_service.get(service, {}).get(str(reference.get("key", "")))


def _tokens(folder: Path) -> dict[str, str]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {caller: _token(folder / caller) for caller in CALLERS}


def _token(file: Path) -> str:
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(TOKEN_BYTES), encoding="ascii")
    return file.read_text(encoding="ascii")
