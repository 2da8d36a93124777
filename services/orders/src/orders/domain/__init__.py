"""What customers and orders are, without a database."""
