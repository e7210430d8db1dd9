"""Benign changes as twins: what is delivered with and without them."""

import functools

import numpy as np
import pytest

from ebbtide.errors import UsageError
from ebbtide.lab.cluster_negatives import NEGATIVES, Negative, apply, choose_negatives
from ebbtide.lab.simulate_plan import PER_DAY, PER_HOUR, Draft, Draws, Plan
from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS, Batch
from simulated import small_plan

UNCHANGED = Negative("unchanged")


def plan() -> Plan:
    return small_plan(days=3, churn=0)


def span() -> tuple[int, int]:
    first = plan().parameters.first + PER_DAY + 14 * PER_HOUR  # so that the change comes before the night's backups
    return first, first + 16 * PER_HOUR


def at_ns() -> int:
    """When the change comes: six hours into the span."""
    return (span()[0] + 6 * PER_HOUR) * 30 * SECOND_NS


def delivered(name: str) -> Batch:
    """With a change, or without one; what is delivered without any is made once and must stay as it is."""
    return (
        delivered_unchanged()
        if name == "unchanged"
        else Batch.concat(apply(choose_negatives([name])[0], plan(), *span()))
    )


@functools.cache
def delivered_unchanged() -> Batch:
    return Batch.concat(apply(UNCHANGED, plan(), *span()))


def content(batch: Batch, before_ns: int | None = None) -> dict[tuple[int, int], float]:
    keys = [batch.series[ref].key for ref in batch.ref.tolist()]
    rows = zip(keys, batch.end_ns.tolist(), batch.value.tolist(), strict=True)
    return {(key, end): value for key, end, value in rows if before_ns is None or end <= before_ns}


@pytest.mark.parametrize("name", [one.name for one in NEGATIVES])
def test_nothing_changes_before_the_change_and_something_after_it(name):
    changed, unchanged = delivered(name), delivered("unchanged")

    if name not in ("duplicates", "growth 3 % a day"):  # growth begins with nothing
        assert content(changed) != content(unchanged)
    shift = 5 * MINUTE_NS  # a clock that goes slow moves the first minutes back
    assert content(changed, at_ns() - shift) == content(unchanged, at_ns() - shift)
    assert (changed.value >= 0).all()
    assert (changed.end_ns > changed.start_ns).all()


def test_duplicates_are_the_same_samples_again():
    changed, unchanged = delivered("duplicates"), delivered("unchanged")

    assert len(changed) > 1.3 * len(unchanged)
    assert content(changed) == content(unchanged)


def test_a_gap_is_caught_up_to_the_byte():
    changed, unchanged = delivered("gap of 5 min"), delivered("unchanged")
    long = changed.end_ns - changed.start_ns > 30 * SECOND_NS

    assert changed.value.sum() == unchanged.value.sum()
    assert set((changed.end_ns - changed.start_ns)[long].tolist()) == {5 * MINUTE_NS}


def test_a_gap_of_a_day_is_silence():
    changed = delivered("gap of 24 h")

    assert int(changed.end_ns.max()) <= at_ns()


def test_a_finer_interval_carries_the_same_bytes():
    changed, unchanged = delivered("interval"), delivered("unchanged")

    assert changed.value.sum() == unchanged.value.sum()
    late = changed.start_ns >= at_ns()
    assert set((changed.end_ns - changed.start_ns)[late].tolist()) == {10 * SECOND_NS}
    assert len(changed) == len(unchanged) + 2 * (unchanged.end_ns > at_ns()).sum()


def test_a_clock_is_wrong_by_five_minutes():
    changed, unchanged = delivered("clock 5 min fast"), delivered("unchanged")

    assert int(changed.end_ns.max()) == int(unchanged.end_ns.max()) + 5 * MINUTE_NS
    assert changed.value.sum() == unchanged.value.sum()


def test_bits_are_eight_times_the_bytes_and_packets_stay():
    changed, unchanged = delivered("bytes told in bits"), delivered("unchanged")
    late = unchanged.end_ns > at_ns()
    is_bytes = np.array([unchanged.series[ref].metric.endswith(".bytes") for ref in unchanged.ref])

    assert (changed.value[late & is_bytes] == 8 * unchanged.value[late & is_bytes]).all()
    assert (changed.value[~(late & is_bytes)] == unchanged.value[~(late & is_bytes)]).all()


def test_a_surge_is_five_times_everything():
    changed, unchanged = delivered("x5"), delivered("unchanged")
    totals = []
    for batch in (changed, unchanged):
        late = batch.start_ns >= at_ns() + HOUR_NS
        is_tcp = np.array([batch.series[ref].metric == "tcp.bytes" for ref in batch.ref])
        totals.append(batch.value[late & is_tcp].sum())

    assert totals[0] == pytest.approx(5 * totals[1], rel=1e-2)


def test_no_edge_is_scaled_out_twice():
    draft = Draft.of(plan())
    choose_negatives(["scale-out"])[0].change(draft, Draws(1, 50), span()[0])

    edges = [edge for effect in draft.effects for edge in effect.edges]
    assert len(set(edges)) == len(edges)
    assert len(draft.effects) >= 6


def test_classes_are_chosen_by_the_beginning_of_their_name():
    assert choose_negatives(["all"]) == NEGATIVES
    assert [one.name for one in choose_negatives(["backup", "backups 3"])] == ["backups 3 h later", "backups doubled"]
    with pytest.raises(UsageError, match="no benign change"):
        choose_negatives(["earthquake"])
