"""The kind cluster: made, found again or repaired; images put on its node; charts released on it."""
