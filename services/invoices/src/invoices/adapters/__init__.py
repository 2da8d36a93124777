"""Invoices and copies of customers in PostgreSQL."""
