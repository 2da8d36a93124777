"""Durable state of sagas behind one port, `Journal`; `postgres` implements it. Tests have one in memory."""
