"""Calls participants, and turns their replies into outcomes.

- `port`: the interface that the engine sees. `http`: its implementation.
- `replies`: which outcome a response means.
- `client`: the interface of an HTTP client. `own_client` (with `pool`, `connection` and `resolver`) and
  `aiohttp_client` implement it, and `clients` chooses one.
"""
