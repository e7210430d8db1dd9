"""What is known of an entity, against what was put in."""

from collections import Counter

import numpy as np
import pytest

from build import Point, batch_of
from ebbtide.finding.filters import parse_matchers
from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS, Counts, Entity
from ebbtide.store.store import Store

NGINX = Entity("prod", "shop", "checkout", "nginx")
CART = Entity("prod", "shop", "cart", "redis")
OTHER = Entity("stage", "shop", "checkout", "nginx")
T0 = 480_000 * 3600


@pytest.fixture(scope="module")
def store():
    points = [Point(T0 + 60 * minute, 10.0, sender=NGINX, to="a", span_s=60) for minute in range(1, 121)]
    points += [
        Point(T0 + 60 * minute, 1.0, sender=NGINX, to="cart", receiver=CART, span_s=60) for minute in range(1, 61)
    ]
    points += [Point(T0 + 7200 + 60 * minute, 5.0, sender=OTHER, to="b", span_s=60) for minute in range(1, 31)]
    with Store.open() as store:
        store.append(batch_of(points), store.begin("test", "profile"))
        store.roll_up()
        yield store


def test_numbers_are_of_a_name_or_of_all_that_agree_with_it(store):
    assert store.profile.numbers(NGINX) == [store.identity.find_entity(NGINX)]
    assert len(store.profile.numbers(Entity("", "", "checkout", "nginx"))) == 2
    assert store.profile.numbers(Entity("", "", "", "")) == []
    assert store.profile.numbers(Entity("", "", "nobody", "")) == []


def test_hours_are_zero_where_heard_and_unknown_where_not(store):
    start, sent, received = store.profile.hours([0], "tcp.bytes", (T0 - 3600) * SECOND_NS, (T0 + 4 * 3600) * SECOND_NS)

    assert start[0] == (T0 - 3600) * SECOND_NS
    # Ends on the hour belong to the next one.
    assert sent.tolist()[1:4] == [59 * 11.0, 60 * 10.0 + 1.0, 10.0]
    assert np.isnan(sent[0]) and np.isnan(sent[4])
    assert received[1] == 0
    cart = store.identity.find_entity(CART)
    assert store.profile.hours([cart], "tcp.bytes", T0 * SECOND_NS, (T0 + 3600) * SECOND_NS)[2].tolist() == [59.0]


def test_destinations_versions_and_spans(store):
    known = store.profile.destinations([0], T0 * SECOND_NS, (T0 + 7260) * SECOND_NS)

    assert [(one.endpoint.workload, one.sent) for one in known] == [("a", 1200.0), ("cart", 60.0)]
    assert known[0].first_ns == T0 * SECOND_NS
    assert store.profile.versions([0], 0, (T0 + 9000) * SECOND_NS) == []
    assert store.profile.span_hours([0]) == (T0 * SECOND_NS, (T0 + 3 * 3600) * SECOND_NS, 3)
    assert store.profile.metrics([0], T0 * SECOND_NS, (T0 + 7200) * SECOND_NS) == ["tcp.bytes"]


def test_entities_are_found_by_words_and_matchers(store):
    profile, end_ns = store.profile, (T0 + 2 * 3600 + 60) * SECOND_NS

    assert [store.identity.entities[one] for one in profile.named(["CHECKOUT", "stage"])] == [OTHER]
    matchers = parse_matchers('{cluster=~"sta.*",process!="redis"}')
    assert [store.identity.entities[one] for one in profile.named([], matchers)] == [OTHER]
    assert [one.entity for one in profile.entities(0, end_ns, profile.named(["stage"]))] == [OTHER]
    assert profile.entities(0, end_ns, []) == []
    everyone = profile.entities(0, end_ns)
    assert (len(everyone), everyone[0].entity, everyone[0].sent) == (3, NGINX, 1260.0)
    assert profile.entities(0, end_ns, None, 1, 5) == everyone[1:]


def test_entities_tell_their_last_full_hour_and_day(store):
    def told(hour: int) -> tuple[float, float]:
        [one] = store.profile.entities(0, (T0 + hour * 3600 + 600) * SECOND_NS, [0])
        return one.sent_hour, one.sent_day

    _, sent, _ = store.profile.hours([0], "tcp.bytes", T0 * SECOND_NS, (T0 + 3 * 3600) * SECOND_NS)
    assert told(0) == (0, 0)  # the running hour is not told
    assert told(1) == (sent[0], sent[0])
    assert told(3) == (sent[2], sent.sum())
    assert told(25) == (0, sent[1:].sum())


def test_what_was_heard_by_the_minute(store):
    heard = store.profile.minutes_heard(["stage"], (T0 + 7200) * SECOND_NS, (T0 + 7200) * SECOND_NS + 60 * MINUTE_NS)

    assert heard.tolist() == [True] * 30 + [False] * 30
    by_cluster = {one.cluster: one for one in store.profile.heard(T0 * SECOND_NS, (T0 + 10800) * SECOND_NS)}
    assert by_cluster["stage"].minutes == 30 and by_cluster["stage"].of_minutes == 180
    assert by_cluster["prod"].interval_s == 60


def test_received_by_buckets(store):
    cart = store.identity.find_entity(CART)

    found = store.profile.received_buckets(
        [cart], "tcp.bytes", T0 * SECOND_NS, T0 * SECOND_NS + HOUR_NS, 30 * MINUTE_NS
    )

    assert found.tolist() == [29.0, 30.0]


def test_what_became_of_points_is_added_up_over_origins():
    with Store.open() as store:
        for _ in range(2):
            origin = store.begin("test", "counts")
            store.finish(origin, Counts(3, Counter({"negative": 2})), Counter({"too_late": 1}))

        assert store.profile.received() == {"accepted": 6, "rejected_negative": 4, "dropped_too_late": 2}
