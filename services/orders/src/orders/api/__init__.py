"""Customers, orders and copies of products over HTTP."""
