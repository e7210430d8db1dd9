"""Where entities usually send, from edges, against the laboratory's arrays and by hand."""

import dataclasses

import numpy as np
import pytest

from build import NGINX, Point, batch_of
from ebbtide.detect.outbound_clues import CLUES
from ebbtide.lab.surge_clues import Mix, is_known
from ebbtide.series import HOUR_NS, SECOND_NS, Batch, Endpoint, Entity
from ebbtide.store.store import Store

DAY = 20_000
DAY_S = DAY * 86_400
DAYS = 4
API = Entity("prod", "shop", "api", "server")
PLACES = ("db.example", "queue.example", "198.51.100.7")
RNG = np.random.default_rng(4)
#: Bytes to each place by hour, the last place only from the last day on.
SENT = np.where(RNG.random((3, DAYS * 24)) < 0.6, RNG.integers(1, 10**6, (3, DAYS * 24)), 0)
SENT[2, : (DAYS - 1) * 24] = 0


def point(hour: int, value: float, to: str, sender: Entity = NGINX, metric: str = "tcp.bytes") -> Point:
    return Point(DAY_S + hour * 3600 + 1800, float(value), metric, sender, to)


def points() -> list[Point]:
    """One entity whose hours are drawn, and one that sends the same to the same place all day."""
    drawn = [point(hour, SENT[at, hour], PLACES[at]) for at, hour in zip(*np.nonzero(SENT), strict=True)]
    return drawn + [point(hour, 1000, "db.example", API) for hour in range(DAYS * 24)]


def store_of(batch: Batch) -> Store:
    store = Store.open()
    store.append(batch, store.begin("import", "test"))
    store.roll_up()
    return store


@pytest.fixture(scope="module")
def store():
    with store_of(batch_of(points())) as opened:
        yield opened


def number(store: Store, entity: Entity = NGINX) -> int:
    return list(store.identity.entities).index(entity)


def test_a_closed_day_is_that_of_the_laboratory(store):
    mixes = store.outbound.learned.mixes
    oracle = Mix(SENT.astype(np.float32))

    for day in range(1, DAYS):
        found = mixes.closed(DAY + day, mixes.usual(DAY + day)).of(np.array([number(store)], np.int32))
        expected = oracle.mix(day, day + 1)
        for name in ("total", "unfamiliar", "overlap"):
            np.testing.assert_allclose(getattr(found, name)[0], getattr(expected, name), rtol=1e-6, err_msg=name)
        assert is_known(oracle, day, day + 1).any() == (day < DAYS - 1 or bool((SENT[2, -24:] == 0).any()))


def test_the_hour_up_to_its_end_is_the_closed_hour(store):
    mixes, day = store.outbound.learned.mixes, DAY + DAYS - 1
    opened = store.outbound.opened(day)
    closed = mixes.closed(day, opened.mix).of(np.array([number(store)], np.int32))

    for hour in (0, 9, 23):
        now = store.outbound.hour_mix((day * 24 + hour + 1) * HOUR_NS, opened)
        for name in ("total", "unfamiliar", "overlap"):
            np.testing.assert_array_equal(getattr(now, name)[number(store)], getattr(closed, name)[0, hour])


def test_nothing_of_the_day_or_later_is_usual(store):
    mixes = store.outbound.learned.mixes
    with store_of(batch_of(one for one in points() if one.end_s < DAY_S + 2 * 86_400)) as earlier:
        before, after = earlier.outbound.learned.mixes.usual(DAY + 2), mixes.usual(DAY + 2)

    np.testing.assert_array_equal(before.shares, after.shares)
    np.testing.assert_array_equal(before.line[: len(after.line)], after.line)
    assert len(before.pairs) == len(after.pairs) == 3


def test_who_never_sent_before_has_no_usual_mix(store):
    usual = store.outbound.learned.mixes.usual(DAY)

    assert np.isnan(usual.lines_of(np.array([number(store), 99], np.int32))).all()


def test_a_destination_without_a_name_is_no_place():
    whole = batch_of(points())
    unnamed = dataclasses.replace(
        whole, series=tuple(dataclasses.replace(one, destination=Endpoint()) for one in whole.series)
    )
    with store_of(unnamed) as store:
        usual = store.outbound.learned.mixes.usual(DAY + 3)

        assert not len(usual.pairs) and np.isnan(usual.line).all()
        assert store.ask("SELECT count(*) FROM sent_mixes") == [(0,)]
        assert store.ask("SELECT count(*) FROM outbound_scores WHERE clues <> 0") == [(0,)]


def test_addresses_of_one_network_are_one_place():
    apart = [point(hour, 1000, f"198.51.100.{hour}") for hour in range(DAYS * 24)]
    with store_of(batch_of(apart)) as store:
        opened = store.outbound.opened(DAY + 3)
        now = store.outbound.hour_mix((DAY * 24 + 80) * HOUR_NS, opened)

        assert len(opened.mix.pairs) == 1
        assert (now.unfamiliar[0], now.overlap[0]) == (0.0, 1.0)


def test_beyond_the_largest_places_they_are_known_but_not_in_the_mix():
    many = [point(hour, 1000 + at, f"p{at}.example") for hour in range(48) for at in range(CLUES.most_places + 4)]
    with store_of(batch_of(many)) as store:
        usual = store.outbound.learned.mixes.usual(DAY + 1)

    assert len(usual.pairs) == CLUES.most_places + 4
    assert len(usual.shares) == CLUES.most_places == (usual.slot >= 0).sum()
    share = (1000 + np.arange(4, CLUES.most_places + 4)) / (1000 + np.arange(CLUES.most_places + 4)).sum()
    assert np.sort(usual.shares[:, 0]) == pytest.approx(share)


def test_the_time_of_an_attack_teaches_no_place():
    more = [*points(), point(30, 10**7, "203.0.113.9")]
    with store_of(batch_of(more)) as store:
        before = store.outbound.learned.mixes.usual(DAY + 3)
        start = (DAY_S + 30 * 3600) * SECOND_NS
        store.mask(NGINX, start, start + HOUR_NS, "verdict on x: attack")
        after = store.outbound.learned.mixes.usual(DAY + 3)

    assert len(after.pairs) == len(before.pairs) - 1


def test_only_hours_with_a_usual_mix_keep_their_overlap(store):
    rows = store.ask("SELECT min(hour), max(overlap), count(*) FROM sent_mixes")

    own = int((SENT[:, 24:].sum(axis=0) > 0).sum())
    assert rows[0][0] >= (DAY + 1) * 24 and rows[0][1] <= 1.0
    assert rows[0][2] == own + (DAYS - 1) * 24
