"""The kind node image, built from packages and modules where none can be pulled."""
