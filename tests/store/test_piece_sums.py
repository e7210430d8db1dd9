"""What is kept by piece of time is what the samples say, whatever was read before: `ebbtide.store.piece_sums`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build import NGINX, NOTHING_LEARNED, Point, batch_of
from ebbtide.series import HOUR_NS, MINUTE_NS, Entity
from ebbtide.store.piece_sums import SeriesSums
from ebbtide.store.pieces import cut
from ebbtide.store.store import Store

CART = Entity("prod", "shop", "cart", "server")
DAY_S = 20_000 * 86_400
DAY_NS = DAY_S * 10**9


def store_of(*points: Point) -> Store:
    store = Store.open()
    store.set_floors(NOTHING_LEARNED)
    store.append(batch_of(points), store.begin("import", "test"))
    return store


def everything(store: Store, now_ns: int) -> list[object]:
    """All that two instants can differ in, as lists."""
    exchanged, sums = store.pieces.exchanged(now_ns), store.outbound.sums(now_ns)
    columns = [getattr(exchanged, name).tolist() for name in type(exchanged).__slots__]
    columns += [getattr(sums, name).tolist() for name in ("entity", "metric", "sent", "received")]
    return [*columns, {name: one.tolist() for name, one in sums.covered.items()}]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.integers(1, 360),
                st.sampled_from([10, 60, 900]),
                st.integers(0, 10**9).map(lambda n: n / 7),
                st.booleans(),
            ),
            min_size=1,
            max_size=12,
        ),
        min_size=2,
        max_size=4,
    ),
    st.lists(st.integers(120, 185), min_size=1, max_size=3),
)
def test_whatever_is_kept_the_answer_is_that_of_a_store_that_kept_nothing(parts, minutes):
    instants = [DAY_NS + minute * MINUTE_NS for minute in minutes]
    with Store.open() as store:
        store.set_floors({"tcp.bytes": 1.0})
        origin = store.begin("import", "test")
        for part in parts:
            store.append(
                batch_of(
                    Point(DAY_S + 30 * at, value, span_s=span, sender=NGINX if sends else CART,
                          receiver=CART if sends else NGINX, label=str(span))
                    for at, span, value, sends in part
                ),
                origin,
            )  # fmt: skip
            kept = [everything(store, now_ns) for now_ns in instants]
            with store.view() as view:
                view._cache.pieces.forget()
                fresh = [everything(view, now_ns) for now_ns in instants]
            assert kept == fresh


def test_a_minute_is_read_once_and_again_when_something_comes_into_it():
    now_ns = DAY_NS + 90 * MINUTE_NS
    with store_of(Point(DAY_S + 80 * 60 + 30, 5.0)) as store:
        assert store.pieces.exchanged(now_ns).sent.tolist() == [5.0]
        with pytest.raises(ZeroDivisionError), store.transaction():
            store.append(batch_of([Point(DAY_S + 81 * 60, 7.0)]), 1)
            assert store.pieces.exchanged(now_ns).sent.tolist() == [12.0]
            raise ZeroDivisionError
        assert store.pieces.exchanged(now_ns).sent.tolist() == [5.0]
        with store.view() as view, store.transaction():
            store.append(batch_of([Point(DAY_S + 82 * 60, 9.0)]), 1)
            assert view.pieces.exchanged(now_ns).sent.tolist() == [5.0]  # not committed yet
        assert store.pieces.exchanged(now_ns).sent.tolist() == [14.0]


def test_an_hour_that_a_backfill_replaces_is_read_again():
    now_ns = DAY_NS + 90 * MINUTE_NS
    with store_of() as store:
        origin = store.begin("backfill", "test")
        for value in (5.0, 8.0):
            store.replace_hour(batch_of([Point(DAY_S + 80 * 60, value)]), DAY_NS // HOUR_NS + 1, origin)
            assert store.pieces.exchanged(now_ns).sent.tolist() == [value]


def test_what_was_exchanged_is_apart_by_whether_it_is_judged():
    now_ns = DAY_NS + 90 * MINUTE_NS
    points = [
        Point(DAY_S + 60, 1.0),
        Point(DAY_S + 30 * 60, 2.0),  # just before what is judged
        Point(DAY_S + 30 * 60 + 1, 4.0, receiver=CART),
        Point(DAY_S + 90 * 60, 8.0, metric="udp.bytes", receiver=CART),
        Point(DAY_S + 70 * 60, 16.0, metric="tcp.new_sockets", receiver=CART),
        Point(DAY_S + 90 * 60 + 1, 32.0),
        Point(DAY_S - 1, 64.0),
    ]
    with store_of(*points) as store:
        found = store.pieces.exchanged(now_ns)
        cart = found.entity == store.identity.find_entity(CART)

        assert not cart.any()  # it sent nothing
        rows = zip(found.is_judged, found.sent, found.udp_sent, found.sockets, strict=True)
        assert sorted(map(tuple, rows)) == [(False, 3.0, 0.0, 0.0), (True, 12.0, 8.0, 16.0)]


def test_sums_of_pairs_by_hand():
    points = [
        Point(DAY_S + 30, 3.4, receiver=CART),
        Point(DAY_S + 60, 2.0, receiver=CART, span_s=120),
        Point(DAY_S + 61, 7.0, sender=CART),
        Point(DAY_S + 62, 9.0, metric="udp.bytes"),
    ]
    with store_of(*points) as store:
        tcp = store.identity.find_metric("tcp.bytes")
        first, second, none = store.pieces.pairs(cut(DAY_NS, DAY_NS + 3 * MINUTE_NS), [tcp])
        nginx, cart = (store.identity.find_entity(one) for one in (NGINX, CART))

        rows = sorted(zip(first.entity.tolist(), first.sent.tolist(), first.received.tolist(), strict=True))
        assert rows == sorted([(nginx, 5.0, 0.0), (cart, 0.0, 5.0)])
        assert first.earliest_ns == DAY_NS - MINUTE_NS
        assert (second.entity.tolist(), second.sent.tolist()) == ([cart], [7.0])
        assert not len(none.entity) and none.earliest_ns > DAY_NS
        heard = store.pieces.heard(cut(DAY_NS, DAY_NS + 2 * MINUTE_NS))
        start = DAY_NS // MINUTE_NS
        assert [sorted(minute - start for minute in one.minutes["prod"]) for one in heard] == [[-1, 0], [0, 1]]


def test_sums_of_series_merge():
    one = SeriesSums(np.array([1, 4], np.int32), np.array([2.0, 3.0]))
    other = SeriesSums(np.array([4], np.int32), np.array([5.0]))

    merged = SeriesSums.merge([one, other])
    assert (merged.series.tolist(), merged.value.tolist()) == ([1, 4], [2.0, 8.0])
    assert len(SeriesSums.merge([]).series) == 0
