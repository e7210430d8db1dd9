"""Brings the past into a store, so that nobody waits a month to be judged by it.

In: a Prometheus or VictoriaMetrics, or files. Out: hours in the store, each replaced whole. Without it a new
installation would have no records to compare with for weeks.
"""
