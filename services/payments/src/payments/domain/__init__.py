"""What a payment is, without a database."""
