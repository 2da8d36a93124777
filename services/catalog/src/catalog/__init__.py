"""The catalog service of the reference shop."""
