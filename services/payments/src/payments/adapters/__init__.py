"""Payments and copies of customers in PostgreSQL."""
