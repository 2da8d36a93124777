"""The payments service of the reference shop."""
