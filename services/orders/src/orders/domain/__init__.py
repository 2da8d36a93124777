"""Customers and orders, without a database."""
