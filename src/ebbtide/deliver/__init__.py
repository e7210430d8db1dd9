"""Findings to the world: one sink per file, fed by a durable outbox. Start with `sink`, then `pump`."""
