"""The shipping service of the reference shop."""
