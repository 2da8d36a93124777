"""An outbox table as the participant kit makes it, for tests of capture that need no service."""

OUTBOX = """
CREATE SCHEMA orders;
CREATE TABLE orders.outbox (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregate_type text NOT NULL, aggregate_id uuid NOT NULL,
  aggregate_version bigint NOT NULL, event_type text NOT NULL, event_version text NOT NULL, payload jsonb,
  traceparent text, saga_id uuid, occurred_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (aggregate_type, aggregate_id, aggregate_version))
"""
