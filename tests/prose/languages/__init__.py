"""A reader for each language: the prose in a text, as (line, kind, text)."""
