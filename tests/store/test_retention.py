import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from build import Point, batch_of
from ebbtide.errors import ConfigError
from ebbtide.series import DAY_NS, HOUR_NS, SECOND_NS, Batch, Entity, Series
from ebbtide.store.check import check
from ebbtide.store.retention import Retention, short_ns
from ebbtide.store.store import Store

MIB = 1 << 20
#: `make faults` runs forty days.
DAYS = int(os.environ.get("EBBTIDE_RETENTION_DAYS", "12"))
SERIES = batch_of([Point(1, 1, to=f"d{at}", label=str(at % 7)) for at in range(400)]).series
#: Enough where only the age of samples matters.
FEW = SERIES[:20]


def an_hour(hour: int, series: tuple[Series, ...]) -> Batch:
    """60 samples of each series, all different, so that they compress badly."""
    rng = np.random.default_rng(hour)
    ref = np.tile(np.arange(len(series), dtype=np.int32), 60)
    end = hour * HOUR_NS + (np.repeat(np.arange(60), len(series)) + 1) * 60 * SECOND_NS
    value = rng.lognormal(9, 2, len(ref))
    return Batch(series, ref, end - 60 * SECOND_NS, end, value, np.full(len(ref), np.nan))


def run(
    store: Store, policy: Retention, hours: int, series: tuple[Series, ...] = SERIES
) -> tuple[list[int], dict[str, int]]:
    """The file's size after each hour, and everything that was dropped."""
    # Nothing is learned here: what that costs every hour is no matter of retention.
    store.set_floors({"none": 1.0})
    origin = store.begin("live", "test")
    sizes, dropped = [], {}
    for hour in range(hours):
        store.append(an_hour(hour, series), origin)
        store.roll_up((hour + 1) * HOUR_NS)
        for what, rows in store.retain((hour + 1) * HOUR_NS, policy).items():
            dropped[what] = dropped.get(what, 0) + rows
        assert store.path is not None
        sizes.append(Path(store.path).stat().st_size)
    return sizes, dropped


def test_the_file_stays_within_its_budget_for_weeks(tmp_path):
    policy = Retention(disk_budget_bytes=32 * MIB, samples_ns=5 * DAY_NS)
    with Store.open(tmp_path / "e.duckdb") as store:
        sizes, dropped = run(store, policy, DAYS * 24)

        assert max(sizes) <= 32 * MIB
        # No three days of samples fit.
        assert dropped["samples_over_budget"] > (DAYS - 3) * 24 * len(SERIES) * 60
        assert store.ask("SELECT count(DISTINCT hour) FROM hours")[0][0] >= 3 * DAYS / 4 * 24
        assert check(store) == []


def test_over_the_budget_samples_go_first_and_the_last_eight_hours_stay(tmp_path, monkeypatch):
    with Store.open(tmp_path / "e.duckdb") as store:
        run(store, Retention(), 26)
        monkeypatch.setattr("ebbtide.store.retention.RESERVE_LEAST_BYTES", 31 * MIB)
        dropped = store.retain(26 * HOUR_NS, Retention(disk_budget_bytes=32 * MIB))

        first, last = store.reading.span()
        assert list(dropped) == ["samples_over_budget", "edges_over_budget", "hours_over_budget"]
        assert 8 * HOUR_NS <= last - first + 60 * SECOND_NS < 14 * HOUR_NS


def test_what_is_too_old_goes_and_the_rest_stays(tmp_path):
    policy = Retention(samples_ns=12 * HOUR_NS, hours_ns=DAY_NS, edges_ns=DAY_NS, days_ns=2 * DAY_NS)
    with Store.open(tmp_path / "e.duckdb") as store:
        run(store, policy, 72, FEW)

        assert store.reading.span()[0] > 54 * HOUR_NS
        assert store.ask("SELECT min(hour), max(hour) FROM hours") == [(48, 71)]
        assert store.ask("SELECT min(day), max(day) FROM days") == [(1, 2)]


def test_without_a_policy_nothing_is_dropped(tmp_path):
    everything = Retention(samples_ns=None, hours_ns=None, edges_ns=None, days_ns=None)
    with Store.open(tmp_path / "e.duckdb") as store:
        _, dropped = run(store, everything, 40, FEW)

        assert dropped == {}


def test_a_budget_without_room_is_refused():
    with pytest.raises(ConfigError, match="too small"):
        Retention(disk_budget_bytes=MIB)


def test_what_the_budget_took_is_short_only_where_detections_look_back_over_it(tmp_path):
    policy = Retention(disk_budget_bytes=32 * MIB)
    with Store.open(tmp_path / "e.duckdb") as store:
        run(store, Retention(), 26)
        kept = store.kept_ns(26 * HOUR_NS)
        assert (kept["hours"], kept["edges"]) == (26 * HOUR_NS, 26 * HOUR_NS)

    assert set(short_ns(kept, {}, policy).values()) == {0}  # young, nothing was given up
    dropped = {"samples_over_budget": 9, "edges_over_budget": 9}
    assert {name: one for name, one in short_ns(kept, dropped, policy).items() if one} == {
        "edges": 30 * DAY_NS - 26 * HOUR_NS
    }
    assert set(short_ns({**kept, "edges": 30 * DAY_NS}, dropped, policy).values()) == {0}
    assert set(short_ns(kept, dropped, Retention(edges_ns=DAY_NS)).values()) == {0}  # as was asked for


def test_an_empty_store_keeps_nothing():
    with Store.open() as store:
        assert store.kept_ns(HOUR_NS) == {}


def test_late_data_of_hours_whose_samples_the_budget_gave_up_are_too_late(tmp_path):
    late = batch_of([Point(3 * 3600 + 1000, 5.0, span_s=7), Point(20 * 3600 + 1000, 5.0, span_s=7)])
    with Store.open(tmp_path / "e.duckdb") as store:
        origin = store.begin("test", "late")
        minutes = [Point(60 * minute, 1.0, span_s=60) for minute in range(1, 26 * 60)]
        store.append(batch_of(minutes), origin)
        store.roll_up()
        before = store.ask("SELECT hour, sent FROM hours ORDER BY hour")
        store.retain(26 * HOUR_NS, Retention(samples_ns=8 * HOUR_NS))  # what is left where the budget is tight
        done = store.append(late, origin, oldest_ns=2 * HOUR_NS)
        store.roll_up()
        after = store.ask("SELECT hour, sent FROM hours ORDER BY hour")

    assert (done.stored, done.dropped, done.oldest_ns) == (1, Counter(too_late=1), 6 * HOUR_NS)
    assert {hour: sent for hour, sent in after if hour != 20} == {hour: sent for hour, sent in before if hour != 20}
    assert dict(after)[20] == dict(before)[20] + 5


def derived(store: Store, *, without: Entity | None = None) -> dict[str, list[str]]:
    """What is known by hour and day, of all entities but one, as text: nan is nan."""
    number = -1 if without is None else store.identity.find_entity(without)
    assert number is not None
    store.roll_up()
    return {
        table: sorted(map(repr, store.ask(f"SELECT * FROM {table} WHERE entity <> {number}")))
        for table in ("hours", "days", "peaks", "edges")
    }


def given_up(store: Store) -> int:
    """26 hours of a minute each, learned; then the samples of the first 18 are gone. An origin for what comes next."""
    store.append(
        batch_of([Point(60 * minute, 1.0, span_s=60) for minute in range(1, 26 * 60)]), store.begin("live", "x")
    )
    store.roll_up()
    store.retain(26 * HOUR_NS, Retention(samples_ns=8 * HOUR_NS))
    return store.begin("import", "late")


OTHER = Entity("other", "shop", "cart", "nginx")


def test_an_import_into_hours_whose_samples_are_gone_leaves_them_as_they_are(tmp_path):
    late = [Point(3 * 3600 + 1000, 5.0, span_s=7), Point(20 * 3600 + 1000, 5.0, span_s=7)]
    with Store.open(tmp_path / "e.duckdb") as store:
        origin = given_up(store)
        before = derived(store)
        done = store.append(batch_of(late[:1]), origin)
        assert (done.stored, done.dropped) == (0, Counter(settled=1))
        assert derived(store) == before
        both = store.append(batch_of(late), origin)
        assert (both.stored, both.dropped) == (1, Counter(settled=1))
        assert check(store) == []


def test_an_import_of_another_entity_into_such_hours_is_kept_and_costs_nobody_anything(tmp_path):
    new = [Point(3 * 3600 + 1000, 5.0, sender=OTHER, span_s=7), Point(4 * 3600, 6.0, sender=OTHER, span_s=7)]
    with Store.open(tmp_path / "e.duckdb") as store:
        origin = given_up(store)
        before = derived(store)
        assert store.append(batch_of(new), origin).stored == 2
        assert derived(store, without=OTHER) == before
        store.append(batch_of([Point(3 * 3600 + 1007, 7.0, sender=OTHER, span_s=7)]), origin)  # its own are there
        assert derived(store, without=OTHER) == before
        number = store.identity.find_entity(OTHER)
        assert store.ask(f"SELECT hour, sent FROM hours WHERE entity = {number} ORDER BY 1") == [(3, 12.0), (4, 6.0)]
        again = store.append(batch_of([Point(3 * 3600 + 1000, 5.0, span_s=7)]), origin)
        assert again.dropped == Counter(settled=1)
        # What comes live so late is refused there as before, though the segment has a table again.
        live = store.append(batch_of([Point(3 * 3600 + 1001, 5.0, span_s=7)]), origin, oldest_ns=2 * HOUR_NS)
        assert live.dropped == Counter(too_late=1)
        assert check(store) == []


def test_an_import_into_days_whose_hours_are_gone_leaves_them_as_they_are(tmp_path):
    policy = Retention(samples_ns=12 * HOUR_NS, hours_ns=DAY_NS, edges_ns=DAY_NS, days_ns=9 * DAY_NS)
    with Store.open(tmp_path / "e.duckdb") as store:
        run(store, policy, 72, FEW)
        before = derived(store)
        done = store.append(batch_of([Point(3 * 3600 + 1000, 5.0, sender=OTHER, span_s=7)]), store.begin("import", "x"))

        assert done.dropped == Counter(settled=1)
        assert derived(store) == before


def test_late_data_of_a_time_that_was_never_heard_are_stored():
    with Store.open() as store:
        origin = store.begin("test", "late")
        store.append(batch_of([Point(26 * 3600, 1.0, span_s=60)]), origin)
        store.roll_up()
        done = store.append(batch_of([Point(3 * 3600, 5.0, span_s=7)]), origin, oldest_ns=2 * HOUR_NS)

    assert (done.stored, done.dropped) == (1, Counter())
