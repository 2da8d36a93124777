"""Calling participants, and turning what they answer into outcomes."""
