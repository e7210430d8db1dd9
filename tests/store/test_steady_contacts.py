"""Who sends the same amount to a new place every hour, from the edges of full hours and what was known by then."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from build import Point, batch_of
from ebbtide.detect.novelty_options import NoveltyOptions
from ebbtide.series import HOUR_NS, SECOND_NS
from ebbtide.store.store import Store
from novelty_traffic import DAY_S, NGINX, NOW_NS, NOW_S, WORKER, usual, usual_store

OPTIONS = NoveltyOptions()
FEW, MANY = OPTIONS.steady_hours


def beats(hours, *, amount=1000.0, sender=NGINX, to="beat.example", ago=0, every_s=300):
    """As much every five minutes over so many hours, up to the last full hour (or `ago` hours before)."""
    end = NOW_S // 3600 * 3600 - ago * 3600
    return [Point(at, amount, sender=sender, to=to, span_s=10) for at in range(end - hours * 3600 + 60, end, every_s)]


@pytest.fixture
def steady(tmp_path_factory, tmp_path):
    """The steady contacts of each entity, as (hours, whether a stranger), after usual traffic and these points."""

    def of(*points, now_ns=NOW_NS):
        with Store.open(Path(shutil.copy(usual_store(tmp_path_factory), tmp_path / "steady.duckdb"))) as store:
            if points:
                store.append(batch_of(points), store.begin("import", "test"))
            store.roll_up()
            found = store.novelty.hour(now_ns, store.novelty.known(now_ns, OPTIONS)).steady
            assert found.hour == now_ns // HOUR_NS
            names = [one.process for one in store.identity.entities]
        told = zip(names, found.hours.tolist(), found.is_stranger.tolist(), strict=True)
        return {name: (hours, stranger) for name, hours, stranger in told if hours}

    return of


def test_an_even_beat_to_a_new_place_is_steady_from_its_eighth_hour_on(steady):
    assert steady() == {}
    assert steady(*beats(FEW - 1)) == {}
    assert steady(*beats(FEW)) == {"nginx": (FEW, True)}
    assert steady(*beats(MANY)) == {"nginx": (MANY, True)}


def test_it_ends_with_a_silent_hour_and_is_not_seen_before_it_is_over(steady):
    assert steady(*beats(FEW, ago=1)) == {}
    assert steady(*beats(FEW), now_ns=NOW_NS - HOUR_NS) == {}


def test_uneven_amounts_are_no_beat(steady):
    uneven = [Point(one.end_s, 1000.0 * (1 + at // 12 % 3), sender=NGINX, to="files.example", span_s=10)
              for at, one in enumerate(beats(FEW))]  # fmt: skip
    jitter = [Point(one.end_s, 1000.0 + at % 7 * 20, sender=NGINX, to="beat.example", span_s=10)
              for at, one in enumerate(beats(FEW))]  # fmt: skip

    assert steady(*uneven) == {}
    assert steady(*jitter) == {"nginx": (FEW, True)}


def test_a_place_that_another_knew_is_no_stranger_and_an_old_one_is_not_new(steady):
    earlier = Point(NOW_S - 5 * 86_400, 1e6, sender=WORKER, to="beat.example")
    known = Point(NOW_S - 5 * 86_400, 1e6, sender=NGINX, to="beat.example")

    assert steady(earlier, *beats(FEW)) == {"nginx": (FEW, False)}
    assert steady(known, *beats(FEW)) == {}


def test_what_is_inside_the_cluster_or_met_on_the_first_day_is_no_beacon(steady):
    inside = [Point(one.end_s, 1000.0, sender=NGINX, receiver=WORKER, to="worker", span_s=10) for one in beats(FEW)]
    assert steady(*inside) == {}

    with Store.open() as store:
        first = [Point(DAY_S + at, 1000.0, span_s=10) for at in range(60, 30 * 3600, 300)]
        store.append(batch_of(first), store.begin("import", "test"))
        store.roll_up()
        now_ns = (DAY_S + 29 * 3600) * SECOND_NS
        assert not np.any(store.novelty.hour(now_ns, store.novelty.known(now_ns, OPTIONS)).steady.hours)


def test_late_data_are_seen_though_the_hour_was_read_before():
    with Store.open() as store:
        origin = store.begin("import", "test")
        store.append(batch_of([*usual(), *beats(FEW - 1)]), origin)
        store.roll_up()
        known = store.novelty.known(NOW_NS, OPTIONS)
        assert not store.novelty.hour(NOW_NS, known).steady.hours.any()
        store.append(batch_of(beats(FEW)[:12]), origin)
        store.roll_up()
        assert store.novelty.hour(NOW_NS, store.novelty.known(NOW_NS, OPTIONS)).steady.hours.max() == FEW
