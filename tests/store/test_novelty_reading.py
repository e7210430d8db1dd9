"""What the store tells of new contacts, by hand: `ebbtide.store.novelty`, `ebbtide.store.known_contacts`,
`ebbtide.store.places`."""

from __future__ import annotations

import numpy as np
import pytest

from build import NGINX, Point, batch_of
from ebbtide.detect.novelty_options import NoveltyOptions
from ebbtide.series import DAY_NS, HOUR_NS, SECOND_NS, Endpoint, EndpointClass, Entity
from ebbtide.store.places import is_inside, place_name, place_numbers
from ebbtide.store.store import Store

OPTIONS = NoveltyOptions()
DAY = 20_000
DAY_S = DAY * 86_400
API = Entity("prod", "shop", "api", "server")


def store_of(*points: Point) -> Store:
    store = Store.open()
    store.append(batch_of(points), store.begin("import", "test"))
    store.roll_up()
    return store


def at(day: int, hour: float) -> float:
    """Seconds of an hour of a day, day 0 the first."""
    return DAY_S + day * 86_400 + hour * 3600


def heartbeat_days(days: int) -> list[Point]:
    """The cluster is heard in every hour."""
    return [Point(at(0, hour) + 60, 1.0, sender=API, to="ntp.example") for hour in range(days * 24)]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (Endpoint(workload="203.0.113.9"), Endpoint(workload="203.0.113.250"), True),
        (Endpoint(workload="203.0.113.9"), Endpoint(workload="203.0.114.9"), False),
        (Endpoint(workload="2001:db8:1:2::5"), Endpoint(workload="2001:db8:1:9::6"), True),
        (Endpoint(workload="a.example"), Endpoint(workload="b.example"), False),
        (Endpoint("c", "n", "w", "one"), Endpoint("c", "n", "w", "two"), True),
        (Endpoint("c", "n", "w"), Endpoint("c", "m", "w"), False),
        (Endpoint(), Endpoint(workload="fe80::1%eth0"), False),
    ],
)
def test_what_counts_as_the_same_place(one, other, is_same):
    assert (place_name(one) == place_name(other)) == is_same
    numbers = place_numbers([one, other])
    assert (numbers[0] == numbers[1]) == is_same


def test_inside_is_said_by_the_number():
    kinds = (EndpointClass.INTERNAL, EndpointClass.HOST, EndpointClass.EXTERNAL, EndpointClass.METADATA)

    assert is_inside(place_numbers([Endpoint(workload="w", kind=kind) for kind in kinds])).tolist() == [
        True,
        True,
        False,
        False,
    ]


def test_a_contact_is_new_once_and_only_before_it_was_made():
    points = [*heartbeat_days(4), Point(at(2, 10.25), 5e6, to="new.example"), Point(at(2, 12), 5e6, to="new.example")]
    points += [Point(at(0, 3), 1e6), Point(at(2, 10.2), 1e6)]
    with store_of(*points) as store:
        for hour, new in ((10.25, 5e6), (11.2, 5e6), (12.0, 0.0)):
            now_ns = round(at(2, hour)) * SECOND_NS
            known = store.novelty.known(now_ns, OPTIONS)
            found = store.novelty.hour(now_ns, known)
            nginx = found.entity == store.identity.find_entity(NGINX)
            assert found.sent[nginx & found.is_new].sum() == new
        first = store.novelty.hour(round(at(2, 10.2)) * SECOND_NS, store.novelty.known(known.day * DAY_NS, OPTIONS))
        nginx = first.entity == store.identity.find_entity(NGINX)
        assert first.sent[nginx].tolist() == [1e6]


def test_what_was_known_when_a_day_began():
    points = [*heartbeat_days(13), Point(at(0, 1), 2e6), Point(at(0, 5), 7e6, to="first-day.example")]
    points += [Point(at(1, 3), 3e5, to="x.example"), Point(at(1, 3.5), 4e5, to="y.example")]
    points += [Point(at(11, 1), 1e6, metric="udp.bytes")]
    with store_of(*points) as store:
        number = store.identity.find_entity(NGINX)
        known = store.novelty.known((DAY + 11) * DAY_NS + HOUR_NS, OPTIONS)
        later = store.novelty.known((DAY + 12) * DAY_NS + HOUR_NS, OPTIONS)

    assert (known.day, known.first_hour[number]) == (DAY + 11, DAY * 24 + 1)
    assert known.last_day[number] == DAY + 1
    assert known.past.days[number] == 10
    assert known.past.events(is_inside=False)[number] == 1  # an hour with two; those of the first day do not count
    assert (known.most_sent[number], known.most_destinations[number]) == (9e6, 2)
    assert not known.had_udp[number]
    assert later.had_udp[number] and later.wakings[number] == 1
    assert known.heard_between("prod", DAY, DAY + 11) == 11


def test_nothing_later_is_read_and_nothing_is_kept_that_changed():
    now_ns = round(at(3, 10)) * SECOND_NS
    points = [*heartbeat_days(3), Point(at(1, 3), 1e6), Point(at(3, 9.5), 1e6)]
    with store_of(*points) as store:
        before = store.novelty.hour(now_ns, store.novelty.known(now_ns, OPTIONS))
        store.append(batch_of([Point(at(3, 10) + 5, 1e9, to="later.example")]), store.begin("import", "later"))
        store.roll_up()
        after = store.novelty.hour(now_ns, store.novelty.known(now_ns, OPTIONS))
        for name in ("entity", "place", "sent", "is_new", "before"):
            np.testing.assert_array_equal(getattr(before, name), getattr(after, name)[: len(getattr(before, name))])
        store.append(batch_of([Point(at(1, 4), 7.0, to="late.example")]), store.begin("import", "late"))
        store.roll_up()
        known = store.novelty.known(now_ns, OPTIONS)
        assert place_numbers([Endpoint(workload="late.example", kind=EndpointClass.EXTERNAL)])[0] in known.places


def test_the_empty_store_knows_nobody():
    with Store.open() as store:
        known = store.novelty.known(DAY_S * SECOND_NS, OPTIONS)
        found = store.novelty.hour(DAY_S * SECOND_NS, known)

    assert len(known.pairs) == len(found.entity) == 0
