"""A linter for the English of this repository: documentation, docstrings, comments, messages, chart comments."""
