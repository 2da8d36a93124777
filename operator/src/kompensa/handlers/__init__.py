"""The operator: one file per kind, each of which parses an object, calls, and writes a status.

`main` composes and registers; `startup` holds kopf's settings; `workqueue` retries. Nothing here
survives a restart, and nothing has to: the watch lists everything again, and every call is idempotent.
"""
