"""Programs that use the engine: its HTTP API as a client."""
