"""Customers, prices and orders over HTTP."""
