"""YAML files of our kinds: reading them, and handing their objects to an engine over its API."""
