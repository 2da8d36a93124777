"""Shipments, without a database."""
