"""Sagas and replicas for microservices that own their data, as Kubernetes resources."""
