"""The whole system as local processes, and the demo that runs on them or on a cluster.

For a first look, for a participant's author at work, and for the integration tests. It starts the real
things (PostgreSQL, Kafka, Connect with Debezium, the services, the engine); only Kubernetes is missing.
Everything below `run.py` is synchronous: starting programs is waiting, and threads wait just as well.
"""
