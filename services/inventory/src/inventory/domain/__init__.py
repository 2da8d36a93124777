"""Stock and reservations, without a database."""
