"""Calling participants, and turning their replies into outcomes (`replies`)."""
