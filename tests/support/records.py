"""A record as confluent-kafka gives it, without a broker; tombstones are false there, and so they are here."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FakeRecord:
    key_: bytes | None = b"7d444840-9dc0-11d1-b245-5ffdce74fad2"
    value_: bytes | None = b'{"email":"ana@example.com"}'
    headers_: list[tuple[str, str | bytes | None]] = field(
        default_factory=lambda: [
            ("id", b"0191"),
            ("event-type", b"customer-created"),
            ("event-version", b"1.0"),
            ("aggregate-version", b"1"),
            ("occurred-at", b"2026-01-31T12:00:00.5Z"),
            ("traceparent", None),
        ]
    )
    topic_: str = "orders.customer-created"
    partition_: int = 3
    offset_: int = 42
    timestamp_: int = 1_700_000_000_000

    def __bool__(self) -> bool:
        return bool(self.value_)

    def topic(self) -> str | None:
        return self.topic_

    def partition(self) -> int | None:
        return self.partition_

    def offset(self) -> int | None:
        return self.offset_

    def key(self) -> bytes | None:
        return self.key_

    def value(self) -> bytes | None:
        return self.value_

    def headers(self) -> list[tuple[str, str | bytes | None]] | None:
        return self.headers_

    def timestamp(self) -> tuple[int, int]:
        return (1, self.timestamp_)


def with_headers(**changes: bytes | None) -> list[tuple[str, str | bytes | None]]:
    """The usual headers with some changed; names use '_' for '-', and None removes the header."""
    usual: dict[str, str | bytes | None] = dict(FakeRecord().headers_)
    wanted = {name.replace("_", "-"): value for name, value in changes.items()}
    return [(name, value) for name, value in (usual | wanted).items() if name not in wanted or wanted[name] is not None]
