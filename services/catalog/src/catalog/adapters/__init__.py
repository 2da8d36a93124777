"""Products in PostgreSQL."""
