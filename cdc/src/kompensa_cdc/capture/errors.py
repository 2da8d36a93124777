"""Errors of capture: one of its three neighbours is not as it should be.

Each text names the thing, what was expected and what to do next, and is fit for an object's Condition: no password,
no traceback.
"""


class CaptureError(Exception):
    """Something outside must change before capture can go on; `reason` is a CamelCase word for a Condition."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class PostgresError(CaptureError):
    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(reason or "DatabaseUnusable", message)


class TableError(PostgresError):
    """The table, its publication or a role's rights keep rows from the stream.

    `rows_missed`: rows that are in the table may never have come into the stream. Once the cause is gone they have to
    be published again.
    """

    def __init__(self, message: str, *, reason: str, rows_missed: bool = True) -> None:
        super().__init__(message, reason=reason)
        self.rows_missed = rows_missed


class ConnectError(CaptureError):
    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(reason or "ConnectUnusable", message)


class BrokerError(CaptureError):
    def __init__(self, message: str) -> None:
        super().__init__("KafkaUnusable", message)
