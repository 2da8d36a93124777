"""What capture says when one of its three neighbours is not as it should be.

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
    def __init__(self, message: str) -> None:
        super().__init__("DatabaseUnusable", message)


class ConnectError(CaptureError):
    def __init__(self, message: str) -> None:
        super().__init__("ConnectUnusable", message)


class BrokerError(CaptureError):
    def __init__(self, message: str) -> None:
        super().__init__("KafkaUnusable", message)
