"""Reading and writing Kubernetes objects; the builders of what is written are pure.

`kube` talks to the API server and `engine_client` to the engine. `status`, `conditions`, `events` and
`replica_deployment` turn data into objects and do no I/O. `status_publisher` runs in the engine's process, the rest
in the operator's.
"""
