"""Invoices, without a database."""
