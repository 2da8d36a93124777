"""Spans of one trace, from the start of a saga to the copies of its events, sent by OTLP.

A process records a span once its work is done. Its place in the trace was known before: it is in the `traceparent` of
calls and events. For the calls of a saga it follows from the saga's id, so that a trace stays one trace across crashes.
Without OTEL_EXPORTER_OTLP_ENDPOINT nothing is recorded, and OpenTelemetry's SDK is not even imported.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, Protocol, Self
from urllib.parse import urlsplit

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""As W3C Trace Context has it: version, trace, parent, flags."""
HTTP_PROTOBUF = "http/protobuf"
Kind = Literal["server", "client", "consumer", "internal"]
Attributes = Mapping[str, str | int]


class TracingSettingsError(ValueError):
    """A variable of OpenTelemetry has a value that cannot be used; the text names it."""


@dataclass(frozen=True)
class TraceContext:
    """A span's place: the trace in 32 hexadecimal digits, the span in 16."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @classmethod
    def read(cls, traceparent: str | None) -> Self | None:
        """The place that a `traceparent` names; None if it is missing or has another form."""
        if traceparent is None or not TRACEPARENT.fullmatch(traceparent):
            return None
        _, trace_id, span_id, flags = traceparent.split("-")
        return cls(trace_id, span_id, sampled=bool(int(flags, 16) & 1))

    @classmethod
    def below(cls, parent: TraceContext | None) -> Self:
        """A new span's place: in the trace of its parent, or in a new trace."""
        if parent is None:
            return cls(secrets.token_hex(16), secrets.token_hex(8))
        return cls(parent.trace_id, secrets.token_hex(8), parent.sampled)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


@dataclass(frozen=True, kw_only=True)
class Span:
    """Work that was done.

    Attributes
    ----------
    began, ended
        Seconds since the epoch.
    error
        Why it failed, in a few words; None if it did not.
    link
        A span of another trace that caused this one.
    """

    name: str
    kind: Kind
    context: TraceContext
    parent: TraceContext | None
    began: float
    ended: float
    attributes: Attributes
    error: str | None = None
    link: TraceContext | None = None


def context_of_event(trace_id: str, event_id: str, *, sampled: bool = True) -> TraceContext:
    """The place of the work that an event causes. It follows from the event's id, so that what came of it is found."""
    return TraceContext(trace_id, blake2b(event_id.encode(), digest_size=8).hexdigest(), sampled)


class Spans(Protocol):
    """Takes spans, and sends them in the background."""

    def record(self, span: Span) -> None:
        """Send a span soon. This never waits and never fails; if the receiver is down, spans are dropped."""
        ...

    def close(self) -> None:
        """Send the last spans, for a few seconds at most."""
        ...


def spans_of_environment(service: str) -> Spans | None:
    """The spans of this process; None if the environment names no receiver.

    Parameters
    ----------
    service
        The process's name in traces, unless OTEL_SERVICE_NAME gives another.

    Raises
    ------
    TracingSettingsError
        If a variable of OpenTelemetry cannot be used.
    """
    endpoint = _either("ENDPOINT")
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none"
    if off or not endpoint:
        return None
    if urlsplit(endpoint).scheme not in ("http", "https"):
        raise TracingSettingsError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is {endpoint!r}: expected a URL, for example http://collector:4318"
        )
    protocol = _either("PROTOCOL") or HTTP_PROTOBUF
    if protocol != HTTP_PROTOBUF:
        raise TracingSettingsError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}: only {HTTP_PROTOBUF} is supported, usually at port 4318"
        )
    from kompensa_common.otlp import OtlpSpans  # noqa: PLC0415 -- without a receiver, the SDK is not imported

    return OtlpSpans(service)


def _either(name: str) -> str:
    """A variable for traces alone, or the one for all signals."""
    environment = os.environ
    return environment.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or environment.get(f"OTEL_EXPORTER_OTLP_{name}") or ""
