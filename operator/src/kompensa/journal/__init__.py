"""Durable state of sagas behind one port: PostgreSQL for real, memory for simulation and tests."""
