"""The engine over HTTP: declare, start, list, control; health and metrics.

`door` is what every request passes (token, size), `problems` what every refusal looks like, `serve` puts the process
together.
"""
