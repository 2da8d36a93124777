"""What stock is, without a database."""
