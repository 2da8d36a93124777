"""Names of connectors, slots and publications: made from namespace and name, never longer than PostgreSQL's 63 bytes.

Two objects must never share a slot: each change would go to only one of them, without a warning. If cutting or
replacing a character could make two names equal, a digest of the full name is added.
"""

import hashlib
import re

MAX_LENGTH = 63


def connector_name(namespace: str, name: str) -> str:
    """`<namespace>-<name>`; also Debezium's topic.prefix."""
    plain = f"{namespace}-{name}"
    # Without '-' in the namespace the first '-' marks its end; otherwise a-b/c and a/b-c would be one.
    return _bounded(plain, f"{namespace}/{name}", unambiguous="-" not in namespace)


def replication_name(namespace: str, name: str) -> str:
    """The name of the slot and of the publication: PostgreSQL allows a slot only a-z, 0-9 and '_'."""
    raw = f"kompensa_{namespace}_{name}"
    plain = re.sub(r"[^a-z0-9_]", "_", raw.lower())
    return _bounded(plain, f"{namespace}/{name}", unambiguous=plain == raw and "_" not in namespace)


def _bounded(plain: str, full: str, *, unambiguous: bool) -> str:
    if unambiguous and len(plain) <= MAX_LENGTH:
        return plain
    separator = "-" if "-" in plain else "_"
    digest = hashlib.sha256(full.encode()).hexdigest()[:8]
    return plain[: MAX_LENGTH - 9].rstrip("-_.") + separator + digest
