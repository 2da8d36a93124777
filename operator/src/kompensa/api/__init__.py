"""The engine over HTTP: declare definitions, start, list and control sagas, health and metrics.

`serve` puts the process together, `app` the application. Each request passes `auth` (token and size), then reaches a
route in `sagas` or `declarations`. `documents` has the bodies of requests and responses, `problems` those of errors.
"""
