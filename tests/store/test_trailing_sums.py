import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build import NGINX, Point, batch_of
from ebbtide.baseline.floors import FLOORS
from ebbtide.baseline.trailing_statistics import WINDOW_HOURS
from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS
from ebbtide.store.reading import Grouping
from ebbtide.store.store import Store

OTHER = dataclasses.replace(NGINX, workload="cart")
DAY_S = 86_400


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 2 * DAY_S // 30), st.sampled_from([10, 30, 60]), st.integers(0, 10**9), st.booleans()),
        min_size=1,
        max_size=40,
    ),
    st.integers(24 * 60, 48 * 60),
)
def test_sums_are_those_of_the_minutes(samples, minute):
    points = [
        Point(30 * at, value, span_s=span, sender=NGINX if sends else OTHER, receiver=OTHER if sends else NGINX,
              label=str(span))
        for at, span, value, sends in samples
    ]  # fmt: skip
    now_ns = minute * MINUTE_NS
    with Store.open() as store:
        store.append(batch_of(points), store.begin("import", "test"))
        store.roll_up()
        tcp = store.identity.find_metric("tcp.bytes")
        found = store.outbound.sums(now_ns)
        each = Grouping(np.arange(2, dtype=np.int32), np.arange(2), tuple(store.identity.entities))
        minutes = store.minutes.of(each, ("tcp.bytes",), now_ns - 24 * HOUR_NS, now_ns)
    for entity in range(2):
        at = np.flatnonzero((found.entity == entity) & (found.metric == tcp))
        for sums, values in ((found.sent, minutes.sent), (found.received, minutes.received)):
            row = np.nan_to_num(values[entity, 0])
            expected = [row[-hours * 60 :].sum() for hours in WINDOW_HOURS]
            got = sums[at[0]].tolist() if len(at) else [0.0] * 3
            # Each sample is rounded to whole bytes.
            assert got == pytest.approx(expected, abs=len(samples))


def test_a_window_is_covered_as_far_as_its_cluster_was_heard():
    points = [Point(60 * minute, 1, span_s=60) for minute in range(1, 91)]
    with Store.open() as store:
        store.append(batch_of(points), store.begin("import", "test"))
        store.roll_up()
        covered = store.outbound.sums(120 * MINUTE_NS).covered["prod"]

    assert covered.tolist() == [30 / 60, 90 / 360, 90 / 1440]


def test_nothing_later_is_looked_at_and_other_metrics_are_not():
    points = [Point(3600, 5), Point(3601, 7), Point(3600, 9, metric="tcp.packets")]
    with Store.open() as store:
        store.append(batch_of(points), store.begin("import", "test"))
        store.roll_up()
        found = store.outbound.sums(3600 * SECOND_NS)

        assert found.sent[:, 0].tolist() == [5]
        assert set(store.outbound.learned.numbers().values()) == {FLOORS["tcp.bytes"]}
