"""Verbs that this distribution adds to `kompensa`, by the entry points `kompensa.commands`."""
