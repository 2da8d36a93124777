"""The data side: outbox capture, replicas, and looking at topics."""
