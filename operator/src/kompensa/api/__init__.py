"""The engine over HTTP: declare, start, list, control; health and metrics.

Every request passes `auth` (token, size). `problems` gives every refusal its shape. `serve` puts the process together.
"""
