"""Reads and writes Kubernetes objects; the builders of objects are pure.

`kube` talks to the API server. `status`, `conditions`, `events` and
`replica_deployment` turn data into objects and do no I/O. `status_publisher` runs in the engine's process, the rest
in the operator's.
"""
