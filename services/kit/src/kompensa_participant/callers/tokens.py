"""The callers' tokens: one file per token in a folder, which is usually a mounted Secret.

    engine             the token of the caller `engine`
    engine.second      a second token of the same caller, while the first is being replaced

A changed file takes effect within `REREAD_SECONDS`, without a restart. A file that holds no usable token is reported
and gives no access; the other files count.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

import structlog

from kompensa_common.secrets import UnusableValueError, meant
from kompensa_participant.settings import SettingsError

log = structlog.get_logger()

REREAD_SECONDS = 1.0
SECOND = ".second"
SHORTEST, LONGEST = 16, 512
_CHARACTERS = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
"""The characters of a bearer token (RFC 6750, section 2.1)."""


def fault_of(token: bytes) -> str | None:
    """The fault in the form of a token, or None. The text never quotes the token."""
    if not token.strip():
        return "the token is empty"
    if len(token) > LONGEST:
        return f"the token has more than {LONGEST} characters"
    if not _CHARACTERS.fullmatch(token):
        return "the token has other characters than letters, digits and - . _ ~ + / ="
    return None


@dataclass(frozen=True)
class KnownTokens:
    """The tokens in force, as digests, so that no dump of the process shows one."""

    digests: tuple[tuple[bytes, str], ...]

    def caller_of(self, token: bytes) -> str | None:
        """The caller whose token this is. The time that it takes depends neither on the token nor on the caller."""
        shown = sha256(token).digest()
        found = None
        for digest, caller in self.digests:
            if compare_digest(digest, shown):
                found = caller
        return found


class TokenFiles:
    """Reads the tokens of a folder, and reads them again when its files change."""

    def __init__(self, folder: Path, callers: frozenset[str], *, reread_seconds: float = REREAD_SECONDS) -> None:
        """Read the files for the first time.

        Parameters
        ----------
        callers
            The callers of the access table. A file of another name is reported.

        Raises
        ------
        SettingsError
            If the folder cannot be read.
        """
        self._folder = folder
        self._callers = callers
        self._reread_seconds = reread_seconds
        self._failure = ""
        try:
            self._files = _read(folder)
        except OSError as error:
            raise SettingsError(
                f"CALLER_TOKENS_DIR: {folder} cannot be read ({error.strerror}): name a folder with a file per caller"
            ) from None
        self._known = self._understood()
        self._read_at = time.monotonic()

    def known(self) -> KnownTokens:
        """The tokens in force now."""
        now = time.monotonic()
        if now - self._read_at >= self._reread_seconds:
            self._read_at = now
            self._read_again()
        return self._known

    def _read_again(self) -> None:
        """Keep the last tokens if the folder cannot be read: that removes no caller."""
        try:
            files = _read(self._folder)
        except OSError as error:
            if str(error) != self._failure:
                log.warning("tokens of callers cannot be read", folder=str(self._folder), error=error.strerror)
            self._failure = str(error)
            return
        self._failure = ""
        if files != self._files:
            self._files = files
            self._known = self._understood()

    def _understood(self) -> KnownTokens:
        callers: dict[bytes, set[str]] = {}
        for name, content in self._files.items():
            try:
                digest = sha256(self._token(name, content)).digest()
            except UnusableValueError as error:
                log.warning("token of a caller is not usable", file=name, reason=str(error))
            else:
                callers.setdefault(digest, set()).add(name.removesuffix(SECOND))
        for shared in (sorted(names) for names in callers.values() if len(names) > 1):
            log.warning("callers have the same token, which is not accepted: give each its own", callers=shared)
        known = tuple((digest, min(names)) for digest, names in callers.items() if len(names) == 1)
        accepted = {caller for _, caller in known}
        log.info("tokens of callers read", callers=sorted(accepted), without_token=sorted(self._callers - accepted))
        return KnownTokens(known)

    def _token(self, name: str, content: bytes) -> bytes:
        """A file's token.

        Raises
        ------
        UnusableValueError
            Saying the fault; the message never quotes the content.
        """
        if name.removesuffix(SECOND) not in self._callers:
            raise UnusableValueError(f"no caller of the access table has this name; expected {self._expected()}")
        token = meant(content.decode("latin-1"), "the file").encode("latin-1")
        fault = fault_of(token)
        if fault is None and len(token) < SHORTEST:
            fault = f"the token has fewer than {SHORTEST} characters"
        if fault is not None:
            raise UnusableValueError(f"{fault}; write for example the output of: openssl rand -hex 24")
        return token

    def _expected(self) -> str:
        return ", ".join(f"{caller} or {caller}{SECOND}" for caller in sorted(self._callers))


def _read(folder: Path) -> Mapping[str, bytes]:
    """Each file's content, as far as it can matter. Kubernetes' own entries start with a dot."""
    contents = {}
    for path in sorted(folder.iterdir()):
        if not path.name.startswith(".") and path.is_file():
            with path.open("rb") as file:
                contents[path.name] = file.read(LONGEST + 8)
    return contents
