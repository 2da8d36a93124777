"""The callers of a service: each has a token, and a table says which routes it may use.

- `access`: the table, checked against the service's routes at start.
- `tokens`: the form of a token, and the files that hold the callers' tokens.
- `check`: the layer that checks each request.
"""
