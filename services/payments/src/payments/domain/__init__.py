"""Payments, without a database."""
