"""Metrics, logs and health: what operators see. Knows nothing of requests, SQL or the store."""
