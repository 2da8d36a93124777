"""`kompensa`, also as `kubectl kompensa`: one file a verb.

Verbs import what they need when they run, so that `--help` and completion answer at once.
"""
