"""Products, without a database."""
