import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.baseline.moments import Moments
from ebbtide.detect.detector import Baseline
from ebbtide.detect.sigma import Sigma, SigmaOptions
from ebbtide.series import SECOND_NS, Entity, Window

COLUMNS = ("count", "mean", "m2", "minimum", "maximum")
BUCKET_NS = 10 * SECOND_NS


def window_of(*buckets: list[float], metrics=("tcp.bytes",), points=1) -> Window:
    """One entity; one list of bucket totals per metric, None for a bucket without points."""
    total = np.array([[[0.0 if x is None else x for x in row] for row in buckets]])
    count = np.array([[[0 if x is None else points for x in row] for row in buckets]], np.int32)
    return Window((Entity("c", "n", "w", "p"),), metrics, 0, BUCKET_NS, total, count)


def baseline_of(*samples: list[float]) -> Baseline:
    """One list of raw points per metric."""
    rows = [Moments.of(row) for row in samples]
    columns = [
        np.array([[getattr(row, name)[0] for row in rows]]) for name in ("count", "mean", "m2", "minimum", "maximum")
    ]
    return Baseline(Moments(*columns), 0, 1)


def score(window, baseline, **options):
    return Sigma().score(window, baseline, SigmaOptions(**options))


USUAL = [90.0, 100.0, 110.0]  # mean 100, stdev 10: the line is 130


def test_six_buckets_above_the_line_fire_and_five_do_not():
    assert score(window_of([131] * 6), baseline_of(USUAL)).fired.all()
    assert not score(window_of([131] * 5), baseline_of(USUAL)).fired.any()


def test_a_value_on_the_line_is_no_hit():
    assert score(window_of([130] * 10), baseline_of(USUAL)).count == 0


def test_a_hit_carries_what_it_was_compared_with():
    hits = score(window_of([1, 131, None]), baseline_of(USUAL))

    assert hits.bucket_ns.tolist() == [BUCKET_NS]
    assert (hits.value[0], hits.mean[0], hits.stdev[0], hits.line[0]) == (131, 100, 10, 130)


def test_each_metric_of_a_bucket_counts_unless_told_otherwise():
    window = window_of([131] * 3, [131] * 3, metrics=("tcp.bytes", "tcp.packets"))
    baseline = baseline_of(USUAL, USUAL)

    assert score(window, baseline).count == 6
    assert score(window, baseline, count="buckets").count == 3


def test_the_line_of_udp_is_four_times_the_mean_unless_told_otherwise():
    window, baseline = window_of([400, 401], metrics=("udp.bytes",)), baseline_of(USUAL)

    assert score(window, baseline).count == 1
    assert score(window, baseline, udp_stdev="stdev").count == 2


def test_more_points_dilute_the_mean_but_not_the_sum():
    window, baseline = window_of([260], points=2), baseline_of(USUAL)

    assert score(window, baseline).count == 0
    assert score(window, baseline, statistic="sum").count == 1


def test_no_baseline_is_silent_and_said():
    result = score(window_of([1e9] * 10), baseline_of([]))

    assert not result.fired.any()
    assert not result.scored.any()
    assert result.unscored["no_baseline"].all()


def test_a_constant_baseline_makes_any_higher_value_a_hit_unless_told_otherwise():
    window, baseline = window_of([5.0, 5.1]), baseline_of([5.0] * 20)

    assert score(window, baseline).count == 1
    silent = score(window, baseline, zero_stdev="silent")
    assert silent.count == 0
    assert silent.unscored["no_spread"].all()


def test_one_point_is_a_baseline_without_spread_or_none():
    window, baseline = window_of([8.0]), baseline_of([7.0])

    assert score(window, baseline).count == 1
    assert score(window, baseline, one_point="silent").unscored["no_spread"].all()


def test_too_little_history_is_not_judged():
    result = score(window_of([1e9] * 10), baseline_of(USUAL), min_points=4)

    assert result.unscored["too_little_history"].all()
    assert not result.fired.any()


def test_floors_keep_small_things_quiet():
    baseline = baseline_of([100.0, 100.0001])

    assert score(window_of([101]), baseline).count == 1
    assert score(window_of([101]), baseline, floor_share=0.05).count == 0
    assert score(window_of([101]), baseline, floor={"tcp.bytes": 10.1}).count == 0
    assert score(window_of([102]), baseline, floor={"tcp.bytes": 10.1}).count == 1


def test_an_entity_that_sent_nothing_is_neither_scored_nor_unscored():
    result = score(window_of([None, None]), baseline_of(USUAL))

    assert not result.scored.any()
    assert not any(mask.any() for mask in result.unscored.values())


def test_nothing_at_all_is_legal():
    empty = Window((), ("tcp.bytes",), 0, BUCKET_NS, np.zeros((0, 1, 3)), np.zeros((0, 1, 3), np.int32))

    assert len(score(empty, Baseline(Moments.none((0, 1)), 0, 1)).fired) == 0


@given(st.lists(st.integers(0, 300), min_size=1, max_size=12), st.sampled_from([0.5, 2.0, 1024.0]))
def test_another_unit_changes_no_verdict(values, factor):
    plain = score(window_of([float(x) for x in values]), baseline_of(USUAL))
    scaled = score(window_of([x * factor for x in values]), baseline_of([x * factor for x in USUAL]))

    assert plain.count == scaled.count
    assert plain.line * factor == pytest.approx(scaled.line)
