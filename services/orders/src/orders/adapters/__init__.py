"""Customers, prices and orders in PostgreSQL."""
