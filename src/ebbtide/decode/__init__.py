"""Bytes in, columns out: every wire and file format becomes a `series.Batch`. Pure: no clock, no socket, no store.

`session.Session` is the door. Behind it a decoder per format (`formats`) cuts bodies into points, the `catalog` knows
which series some attribute bytes belong to, the `mapping` (compiled from a `preset`, which is data) says whose traffic
a new series is, `temporality` turns counters into deltas, and `points` makes the batch and accounts for every point.
"""
