"""What a service installs to take part in sagas."""
