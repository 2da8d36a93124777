"""Customers, orders and copies of products in PostgreSQL."""
