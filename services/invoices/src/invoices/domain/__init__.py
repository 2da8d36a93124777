"""What an invoice is, without a database."""
