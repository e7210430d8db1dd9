import dataclasses

import numpy as np

from build import NGINX, Point, batch_of
from ebbtide.guard import OTHER, Caps, Guard
from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS, Entity
from ebbtide.store.store import Store

FLOOD = Entity("prod", "shop", "evil", "sh")
OTHERS = [Entity("prod", "shop", f"good{at}", "nginx") for at in range(20)]
NOW = 1000 * HOUR_NS


def flood(count: int, first: int = 0, sender: Entity = FLOOD, end_s: float = 60) -> list[Point]:
    return [Point(end_s, 2.0, sender=sender, to=f"d{first + at}") for at in range(count)]


def total(batch, sender: Entity) -> float:
    of = np.array([one.sender == sender for one in batch.series])
    return float(batch.value[of[batch.ref]].sum())


def test_what_is_within_the_caps_passes_as_it_is():
    batch = batch_of(flood(50) + [Point(60, 1.0, sender=one) for one in OTHERS])

    admitted = Guard().admit(batch, NOW)

    assert admitted is batch
    assert Guard().counts == {}


def test_a_flood_of_series_from_one_pod_takes_its_share_loses_no_bytes_and_starves_nobody():
    guard = Guard(Caps(series=20_000, destinations=10**6))
    seen = 0.0
    for part in range(10):
        batch = batch_of(flood(10_000, 10_000 * part) + [Point(60 + part, 1.0, sender=one) for one in OTHERS])
        admitted = guard.admit(batch, NOW)
        seen += total(admitted, FLOOD)
        assert [total(admitted, one) for one in OTHERS] == [1.0] * 20
        assert len(admitted.series) <= 2000 + 1 + len(OTHERS)
        good = [one for one in admitted.series if one.sender != FLOOD]
        assert {one.destination.workload for one in good} == {"api.example.com"}

    assert seen == 200_000.0
    assert guard.counts["folded_series"] == 98_000
    assert guard.active()["prod"] == {"entities": 21, "series": 2000 + 20}


def test_the_store_takes_folded_batches_of_one_instant_as_different_and_a_repeated_one_once():
    guard = Guard(Caps(series=100, share=0.1, destinations=10**6))
    parts = [batch_of(flood(50, 50 * part)) for part in range(5)]
    with Store.open() as store:
        for part in [*parts, parts[-1]]:
            store.append(guard.admit(part, NOW), 1)

        assert sum(store.totals().values()) == 500.0


def test_made_up_processes_become_one_and_the_workload_keeps_its_name():
    guard = Guard(Caps(entities=100, share=0.1))
    points = [Point(60, 1.0, sender=dataclasses.replace(FLOOD, process=f"p{at}")) for at in range(50)]

    admitted = guard.admit(batch_of(points), NOW)

    senders = {one.sender.process for one in admitted.series}
    assert len(senders) == 11
    assert OTHER in senders
    assert {one.sender.workload for one in admitted.series} == {"evil"}
    assert admitted.value.sum() == 50
    assert guard.counts["folded_entities"] == 40


def test_destinations_over_the_cap_are_one_and_keep_their_series():
    guard = Guard(Caps(destinations=3))

    admitted = guard.admit(batch_of(flood(10)), NOW)

    assert [one.destination.workload for one in admitted.series] == ["d0", "d1", "d2"] + [OTHER] * 7
    assert len({one.key for one in admitted.series}) == 10


def test_clusters_over_the_cap_are_dropped_and_counted():
    guard = Guard(Caps(clusters=1))
    batch = batch_of([Point(60, 1.0), Point(60, 1.0, sender=dataclasses.replace(NGINX, cluster="made-up"))])

    admitted = guard.admit(batch, NOW)

    assert [one.sender.cluster for one in admitted.series] == ["prod"]
    assert len(admitted) == 1
    assert guard.counts == {"dropped_clusters": 1}


def test_what_is_idle_makes_room():
    guard = Guard(Caps(series=20, share=0.5, destinations=10))
    guard.admit(batch_of(flood(10)), NOW)

    later = NOW + HOUR_NS + MINUTE_NS
    admitted = guard.admit(batch_of(flood(10, 10, end_s=4000)), later)

    assert len(admitted.series) == 10
    assert guard.counts["folded_series"] == 0


def test_a_first_reading_of_a_counter_and_an_empty_batch_pass():
    guard = Guard(Caps(series=10, share=0.1))
    batch = batch_of([Point(60, float("nan"), reading=5.0), *flood(3)])

    admitted = guard.admit(batch, NOW)

    assert np.isnan(admitted.value).sum() == 1
    assert len(guard.admit(batch_of([]), NOW)) == 0
    assert admitted.end_ns.tolist() == [60 * SECOND_NS] * len(admitted)


def test_a_series_that_goes_on_is_seen_and_does_not_make_room():
    guard = Guard(Caps(series=20, share=0.5))
    for minute in range(0, 180, 5):
        guard.admit(batch_of(flood(10, end_s=60 * minute)), NOW + minute * MINUTE_NS)

    admitted = guard.admit(batch_of(flood(10, 10)), NOW + 180 * MINUTE_NS)

    assert {one.destination.workload for one in admitted.series} == {OTHER}
    assert guard.active()["prod"]["series"] == 10
