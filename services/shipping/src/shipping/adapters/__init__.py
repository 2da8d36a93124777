"""Copies of customers in PostgreSQL."""
