"""What was told against the budget, from stored findings: `ebbtide.achieved`."""

from __future__ import annotations

import dataclasses

import pytest
from joined_samples import DETECTION, new

from build import Point, batch_of
from ebbtide.achieved import achieved
from ebbtide.detect.catalogue import load
from ebbtide.finding.finding import HELD_BACK
from ebbtide.finding.lifecycle import Episode
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS, SECOND_NS, Entity
from ebbtide.store.store import Store

UNTIL_NS = 20_000 * DAY_NS + 12 * HOUR_NS
UPSTREAM = load(DETECTORS).get("kubernetes_anomalous_outbound_network_activity_from_process")


@pytest.fixture
def store():
    """Two entities over ten days; five findings within them, two of them held back, one hidden; one that is too old."""
    senders = [Entity("prod", "shop", name, "server") for name in ("web", "db")]
    hours = range(0, 240, 6)
    points = [Point(UNTIL_NS / SECOND_NS - at * 3600, 1e6, sender=one) for one in senders for at in hours]
    marks = [(), (), (HELD_BACK,), (HELD_BACK, "nightly"), ("nightly",)]
    with Store.open() as store:
        store.append(batch_of(points), store.begin("import", "x"))
        store.roll_up()
        for day, hidden_by in enumerate([*marks, ()]):
            at_ns = UNTIL_NS - (day if day < 5 else 40) * DAY_NS
            found = dataclasses.replace(new(at_ns), uid=f"00000000-0000-0000-0000-00000000000{day}")
            store.findings.save(Episode(dataclasses.replace(found, hidden_by=hidden_by), 1))
        yield store


def test_held_back_ones_are_counted_apart_and_old_ones_not_at_all(store):
    [one] = achieved(store, [DETECTION], UNTIL_NS)

    assert (one.findings, one.held_back, one.hidden) == (5, 2, 1)
    assert one.days == pytest.approx(10, abs=0.3) and one.entities == 2
    assert one.a_day == pytest.approx(3 / one.days)
    assert one.per_1000 == pytest.approx(3 / one.days * 1000 / 2)
    assert (one.budget, one.budget_a_day, one.effective, one.is_over) == (10, 10, 10, True)


def test_the_lower_of_both_budgets_counts(store):
    small = DETECTION.model_copy(update={"options": {**DETECTION.options, "findings_per_day": 0.01}})
    large = DETECTION.model_copy(update={"options": {**DETECTION.options, "budget": 400.0}})
    first, second = achieved(store, [small, large], UNTIL_NS)

    assert first.effective == pytest.approx(5.0) and first.is_over
    assert second.effective == 400.0 and not second.is_over


def test_without_a_budget_nothing_is_over(store):
    [one] = achieved(store, [UPSTREAM], UNTIL_NS)

    assert (one.findings, one.effective, one.is_over) == (0, None, False)


def test_an_empty_store_told_nothing():
    with Store.open() as empty:
        [one] = achieved(empty, [DETECTION], UNTIL_NS)

    assert (one.findings, one.a_day, one.per_1000, one.days) == (0, 0.0, 0.0, 0.0)
