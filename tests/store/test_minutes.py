import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build import NGINX, Point, batch_of
from ebbtide.baseline.trailing_statistics import Statistic, trailing_statistics
from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS, Heartbeat
from ebbtide.store.reading import Grouping
from ebbtide.store.store import Store

DEV = dataclasses.replace(NGINX, cluster="dev")


def minutes_of(points, from_s, to_s, beats=()):
    with Store.open() as store:
        batch = dataclasses.replace(batch_of(points), heartbeats=tuple(beats))
        store.append(batch, store.begin("import", "test"))
        store.roll_up()
        count = len(store.identity.entities)
        each = Grouping(np.arange(count, dtype=np.int32), np.arange(count), tuple(store.identity.entities))
        return store.minutes.of(each, ("tcp.bytes",), from_s * SECOND_NS, to_s * SECOND_NS)


def test_a_sample_counts_to_the_time_it_covers():
    minutes = minutes_of([Point(90, 60, span_s=60), Point(300, 30, span_s=30)], 0, 300)

    assert minutes.sent[0, 0, :2].tolist() == [30, 30]
    assert minutes.sent[0, 0, 4] == 30
    assert np.isnan(minutes.sent[0, 0, 2:4]).all()  # nobody of the cluster was heard


def test_silence_of_one_entity_is_nothing_while_its_cluster_is_heard():
    points = [Point(60, 5, span_s=60)] + [Point(t, 1, span_s=60, sender=dataclasses.replace(NGINX, process="sh"))
                                          for t in (60, 120, 180)]  # fmt: skip

    assert minutes_of(points, 0, 180).sent[0, 0].tolist() == [5, 0, 0]


def test_a_heartbeat_makes_silence_nothing_and_only_in_its_cluster():
    points = [Point(60, 5, span_s=60), Point(60, 7, span_s=60, sender=DEV)]
    beats = [Heartbeat("prod", MINUTE_NS, 2 * MINUTE_NS)]

    sent = minutes_of(points, 0, 120, beats).sent[:, 0]

    assert sent[0].tolist() == [5, 0]
    assert sent[1, 0] == 7 and np.isnan(sent[1, 1])


def test_a_catch_up_is_spread_but_proves_nothing():
    minutes = minutes_of([Point(4 * 3600, 240, span_s=4 * 3600)], 0, 4 * 3600)

    assert np.isnan(minutes.sent).all()


def test_received_stands_beside_sent():
    points = [Point(60, 5, span_s=60), Point(60, 9, span_s=60, sender=None, receiver=NGINX, to="x")]

    minutes = minutes_of(points, 0, 60)

    assert (minutes.sent.item(), minutes.received.item()) == (5, 9)


def test_what_ends_later_is_not_looked_at():
    points = [Point(60, 5, span_s=60), Point(119, 50, span_s=59)]

    assert np.nansum(minutes_of(points, 0, 60).sent) == 5
    assert np.nansum(minutes_of(points, 0, 90).sent) == 5


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=120, max_size=120), st.sampled_from([10, 20, 30]))
def test_trailing_sums_do_not_depend_on_the_interval_of_the_source(values, step_s):
    """The same traffic, told every minute and in finer steps that add up to it."""
    coarse = [Point(60 * (at + 1), float(value), span_s=60) for at, value in enumerate(values)]
    parts = 60 // step_s
    fine = [
        Point(60 * at + step_s * (part + 1), float(value // parts + (value % parts if part == 0 else 0)), span_s=step_s)
        for at, value in enumerate(values)
        for part in range(parts)
    ]

    one, other = (minutes_of(points, 0, 7200) for points in (coarse, fine))

    np.testing.assert_allclose(one.sent, other.sent)
    peaks = [trailing_statistics(found.sent[:, 0], found.received[:, 0], 60, 10e6).peaks for found in (one, other)]
    np.testing.assert_allclose(peaks[0], peaks[1], rtol=1e-6)
    assert not np.isnan(peaks[0][0, Statistic.VOLUME_1H, -1])
    assert one.sent[0, 0, -60:].sum() == pytest.approx(sum(values[-60:]))
    assert one.start_ns == 0 and one.sent.shape == (1, 1, 2 * HOUR_NS // MINUTE_NS)
