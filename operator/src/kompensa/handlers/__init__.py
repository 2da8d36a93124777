"""The operator: one file per kind, each of which parses an object, calls, and writes a status.

`main` composes and registers; `startup` holds what kopf is told; `workqueue` is where retries happen. Nothing here
survives a restart, and nothing has to: the watch lists everything again, and every call is idempotent.
"""
