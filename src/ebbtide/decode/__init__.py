"""Bytes in, columns out: every wire and file format becomes a `series.Batch`. Pure: no clock, no socket, no store."""
