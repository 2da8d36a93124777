"""A steady stream of orders and customer changes while pods of every kind are killed; then the invariants."""
