"""Readings become the samples that remote write would have brought, hour by hour the same."""

from __future__ import annotations

import numpy as np
from requests_of_decode import Point, remote_write, session

from ebbtide.backfill.readings import Readings, hour_batch, joined
from ebbtide.series import HOUR_NS, SECOND_NS

SENT = "container_net_tcp_bytes_sent_total"
LABELS = {"container_id": "/k8s/shop/checkout-7d9c5b6f4-x2x9q/app", "destination": "10.0.0.1:443"}
START_NS = 490_000 * HOUR_NS


def series(values: list[float], labels: dict[str, str] = LABELS, first: int = 0) -> Readings:
    at = START_NS + (first + np.arange(len(values), dtype=np.int64)) * 30 * SECOND_NS
    return Readings({"__name__": SENT, **labels}, at, np.array(values, float))


def test_the_same_series_and_samples_as_remote_write():
    values = [100.0, 130, 90, 400]
    ours = hour_batch(session("coroot"), [series(values)], START_NS, START_NS + HOUR_NS)
    points = [Point(SENT, value, LABELS, START_NS + at * 30 * SECOND_NS) for at, value in enumerate(values)]
    theirs = session("coroot").decode("remote_write", remote_write(points))
    assert ours.series == theirs.series
    assert ours.end_ns.tolist() == theirs.end_ns.tolist()
    assert np.array_equal(ours.value, theirs.value, equal_nan=True)
    assert ours.counts == theirs.counts


def test_what_lies_before_the_hour_only_sets_the_counters():
    batch = hour_batch(session("coroot"), [series([100, 130, 90, 400], first=-2)], START_NS, START_NS + HOUR_NS)
    assert batch.value.tolist() == [90, 310]  # reset: what is read is what was sent since
    assert batch.start_ns[0] == START_NS - 30 * SECOND_NS
    assert batch.counts.accepted == 2


def test_an_ended_series_begins_anew():
    batch = hour_batch(session("coroot"), [series([100, 130, np.nan, 500, 520])], START_NS, START_NS + HOUR_NS)
    assert np.array_equal(batch.value, [np.nan, 30, np.nan, 20], equal_nan=True)
    assert batch.counts.ignored == {"no_recorded_value": 1}


def test_parts_are_joined_in_one_order_and_once():
    other = {**LABELS, "destination": "10.0.0.2:443"}
    parts = [series([1, 2], other), series([5, 6], first=2), series([3, 4, 5])]
    for order in (parts, parts[::-1]):
        found = joined(order)
        assert [one.labels["destination"] for one in found] == ["10.0.0.1:443", "10.0.0.2:443"]
        assert found[0].value.tolist() == [3, 4, 5, 6]
    assert hour_batch(session("coroot"), [], START_NS, START_NS + HOUR_NS).counts.received == 0
