"""Stock and copies of products in PostgreSQL."""
