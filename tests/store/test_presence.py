"""Closed days in place of their hours: the list is what the hours say, one by one."""

from collections import defaultdict

import numpy as np

from build import Point, batch_of
from ebbtide.series import DAY_NS, HOUR_NS, Entity
from ebbtide.store.presence import open_hours, presences
from ebbtide.store.retention import Retention
from ebbtide.store.store import Store

DAY = 20_000
ENTITIES = [Entity("prod", "shop", f"w{number}", "nginx") for number in range(6)]


def filled(store: Store, days: int = 5) -> list[Point]:
    """Each entity in its own share of hours; the first is not heard in the last two days, the second only there."""
    rng = np.random.default_rng(1)
    points = [
        Point((DAY * 24 + hour) * 3600 + 1800, float(rng.integers(1, 10**9)), sender=one, span_s=60)
        for number, one in enumerate(ENTITIES)
        for hour in range(days * 24 - 3)
        if rng.random() < 0.2 + 0.1 * number
        and not (number == 0 and hour >= (days - 2) * 24)
        and not (number == 1 and hour < (days - 1) * 24)
    ]
    store.append(batch_of(points), store.begin("live", "test"))
    store.roll_up((DAY + days) * DAY_NS)
    return points


def naive(points: list[Point], from_ns: int, until_ns: int) -> list[tuple[object, ...]]:
    first, end = from_ns // HOUR_NS, until_ns // HOUR_NS
    hours: dict[Entity, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for one in points:
        if one.end_s // 3600 >= first:
            hours[one.sender][int(one.end_s // 3600)] += one.value
    rows = [
        (entity, sum(found.values()), min((max(found) + 1) * HOUR_NS, until_ns), len(found), found.get(end - 1, 0),
         sum(sent for hour, sent in found.items() if end - 24 <= hour < end))
        for entity, found in hours.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: -row[1])


def listed(store: Store, from_ns: int, until_ns: int, *more) -> list[tuple[object, ...]]:
    found = presences(store._con, store.identity, from_ns, until_ns, *more)
    return [(one.entity, one.sent, one.last_ns, one.hours, one.sent_hour, one.sent_day) for one in found]


def test_it_is_what_the_hours_say_from_any_instant_to_any_other():
    with Store.open() as store:
        points = filled(store)
        assert len(store.ask("SELECT day FROM closed_days")) >= 4
        for begin, end in ((0, 5), (0, 4.4), (0.7, 4.95), (2, 5), (4.5, 5)):
            between = int((DAY + begin) * DAY_NS), int((DAY + end) * DAY_NS)
            assert listed(store, *between) == naive(points, *between), (begin, end)


def test_pages_and_chosen_ones_are_parts_of_the_whole():
    with Store.open() as store:
        filled(store)
        between = DAY * DAY_NS, (DAY + 5) * DAY_NS
        whole = listed(store, *between)

        assert listed(store, *between, None, 2, 3) == whole[2:5]
        assert listed(store, *between, []) == []
        numbers = [store.identity.find_entity(one) for one in ENTITIES[:2]]
        assert listed(store, *between, numbers) == [row for row in whole if row[0] in ENTITIES[:2]]


def test_a_day_whose_hours_are_gone_still_counts():
    with Store.open() as store:
        points = filled(store)
        between = DAY * DAY_NS, (DAY + 5) * DAY_NS
        store.retain((DAY + 5) * DAY_NS, Retention(samples_ns=8 * HOUR_NS, hours_ns=2 * DAY_NS, edges_ns=2 * DAY_NS))

        assert [row[:2] for row in listed(store, *between)] == [row[:2] for row in naive(points, *between)]


def test_hours_of_days_that_are_not_closed_are_read_one_by_one():
    assert open_hours(5, []) == "(hour >= 5)"
    assert open_hours(48, [2]) == "(hour >= 72)"
    assert open_hours(30, [4, 2]) == "(hour >= 30 AND hour < 48 OR hour >= 72 AND hour < 96 OR hour >= 120)"
