"""A backfill replaces whole hours: by hand, against one run, and beside live data whose samples are gone."""

from __future__ import annotations

import numpy as np
import pytest

from build import NAN, Batch, Entity, Point, batch_of
from ebbtide.series import DAY_NS, HOUR_NS, SECOND_NS, Counts
from ebbtide.store.backfill import Replaced
from ebbtide.store.check import check
from ebbtide.store.retention import Retention
from ebbtide.store.settled import find_settled
from ebbtide.store.store import Store

HOUR = 19_000 * 24
TABLES = (
    "hours",
    "days",
    "edges",
    "peaks",
    "day_maxima",
    "outbound_scores",
    "sent_mixes",
    "learned_days",
    "closed_days",
    "coverage",
)
WEB, API, DB = (Entity("prod", "shop", name, "server") for name in ("web", "api", "db"))


def rows(store: Store, *, only: Entity | None = None) -> dict[str, list[str]]:
    """Every derived table as text, names for numbers."""
    found = {}
    for table in TABLES:
        columns = "* EXCLUDE (origin, revision)" if table == "hours" else "*"
        named = {row[0] for row in store.ask(f"SELECT column_name FROM duckdb_columns() WHERE table_name = '{table}'")}
        where = ""
        if only is not None:
            if "entity" not in named:
                continue
            where = f"WHERE entity = {store.identity.find_entity(only)}"
        found[table] = sorted(map(repr, store.ask(f"SELECT {columns} FROM {table} {where}")))
    return found


def hour_of(hour: int, *entities: Entity, scale: float = 1.0, ticks: int = 12) -> Batch:
    """An hour of traffic, different each hour; the first sample ends at the very start of the hour."""
    rng = np.random.default_rng(hour)
    points = [
        Point(hour * 3600 + tick * 3600 / ticks, round(scale * 1e6 * rng.lognormal()), sender=one, span_s=3600 / ticks)
        for one in entities
        for tick in range(ticks)
    ]
    return batch_of(points)


def bring(store: Store, hours, *entities, source="files a", scale=1.0, **options) -> list[Replaced]:
    origin, _ = store.begin_backfill(source)
    done = []
    for hour in hours:
        batch = hour_of(hour, *entities, scale=scale)
        replaced = store.replace_hour(batch, hour, origin, **options)
        store.note_hour(origin, hour, Counts(accepted=len(batch)), replaced)
        done.append(replaced)
    store.roll_up()
    return done


def test_a_second_run_changes_no_byte():
    with Store.open() as once, Store.open() as often:
        bring(once, range(HOUR, HOUR + 60), WEB, API)
        bring(often, range(HOUR, HOUR + 31), WEB, API, scale=3)  # an earlier, different answer of the source
        bring(often, range(HOUR + 20, HOUR + 60), WEB, API)
        again = bring(often, range(HOUR, HOUR + 60), WEB, API)

        assert rows(often) == rows(once)
        assert [one.stored for one in again] == [24] * 60
        assert [one.removed for one in again] == [24] * 60
        assert check(often) == []


def test_an_hour_that_the_source_no_longer_has_is_taken_away():
    with Store.open() as once, Store.open() as often:
        bring(once, range(HOUR, HOUR + 10), WEB)
        bring(often, range(HOUR, HOUR + 10), WEB, API)
        bring(often, range(HOUR, HOUR + 10), WEB)
        known = rows(often, only=WEB)
        assert known["hours"] == rows(once, only=WEB)["hours"]
        assert rows(often, only=API)["hours"] == rows(often, only=API)["edges"] == rows(often, only=API)["peaks"] == []


@pytest.mark.parametrize("kind", ["live", "import"])
def test_live_hours_are_left_alone(kind):
    with Store.open() as store:
        live = store.begin(kind, "receivers")
        store.append(hour_of(HOUR + 1, WEB, scale=5), live)
        store.roll_up()
        before = store.ask("SELECT * FROM hours")
        done = bring(store, [HOUR, HOUR + 1], WEB, API)

        assert [one.dropped for one in done] == [{}, {"kept_live": 12}]
        web = store.identity.find_entity(WEB)
        # Derived once more from the same samples: only the revision moves.
        [kept] = store.ask(f"SELECT * FROM hours WHERE entity = {web} AND hour = {HOUR + 1}")
        assert [kept[:-1]] == [row[:-1] for row in before]
        assert len(store.ask(f"SELECT * FROM hours WHERE hour = {HOUR + 1}")) == 2
        assert check(store) == []


def test_live_hours_are_replaced_when_told():
    with Store.open() as store, Store.open() as expected:
        store.append(hour_of(HOUR, WEB, scale=5), store.begin("live", "receivers"))
        store.roll_up()
        done = bring(store, [HOUR], WEB, is_live_replaced=True)
        bring(expected, [HOUR], WEB)
        assert done[0].removed == 12 and done[0].stored == 12
        assert rows(store)["hours"] == rows(expected)["hours"]
        assert rows(store)["edges"] == rows(expected)["edges"]


def test_another_backfill_is_not_added_to():
    with Store.open() as store:
        bring(store, [HOUR], WEB)
        before = rows(store)
        done = bring(store, [HOUR], WEB, source="files b")
        assert done[0].dropped == {"kept_backfill": 12}
        assert rows(store) == before


def test_a_sample_to_a_live_receiver_is_left_out():
    with Store.open() as store:
        store.append(hour_of(HOUR, API), store.begin("live", "receivers"))
        origin, _ = store.begin_backfill("files a")
        batch = batch_of([Point(HOUR * 3600 + 30, 5, sender=WEB, receiver=API)])
        assert store.replace_hour(batch, HOUR, origin).dropped == {"kept_live": 1}


def test_an_hour_in_parts_is_continued():
    with Store.open() as store, Store.open() as expected:
        for _ in range(2):
            origin, _ = store.begin_backfill("files a")
            for at, one in enumerate((WEB, API)):
                store.replace_hour(hour_of(HOUR, one), HOUR, origin, is_continued=at > 0)
        store.roll_up()
        bring(expected, [HOUR], WEB)
        assert rows(store, only=WEB)["hours"] == rows(expected, only=WEB)["hours"]
        assert len(store.ask("SELECT * FROM hours")) == 2


def test_done_hours_are_remembered_and_forgotten_when_asked(tmp_path):
    with Store.open(tmp_path / "e.duckdb") as store:
        bring(store, [HOUR, HOUR + 1], WEB)
    with Store.open(tmp_path / "e.duckdb") as store:
        origin, done = store.begin_backfill("files a")
        assert done == {HOUR, HOUR + 1}
        assert store.begin_backfill("files a", again=(HOUR, HOUR + 1)) == (origin, {HOUR + 1})
        assert store.begin_backfill("files b")[1] == set()


def test_a_sample_of_another_hour_is_refused():
    with Store.open() as store:
        origin, _ = store.begin_backfill("files a")
        with pytest.raises(ValueError, match="outside"):
            store.replace_hour(hour_of(HOUR, WEB), HOUR + 1, origin)


def live_for_days(store: Store, first: int, hours: int, *entities: Entity) -> None:
    """Live data whose samples retention has dropped since."""
    live = store.begin("live", "receivers")
    for hour in range(first, first + hours):
        store.append(hour_of(hour, *entities), live)
    store.roll_up()
    store.retain((first + hours) * HOUR_NS, Retention())


def test_what_was_learned_live_outlives_a_backfill_before_and_beside_it():
    first, hours = HOUR + 12, 96
    with Store.open() as store:
        live_for_days(store, first, hours, WEB)
        before = rows(store, only=WEB)
        dropped = store.segments[0] * 6  # the first hour whose samples are there
        assert dropped > first + 48

        bring(store, range(HOUR - 24, first + 60), API, WEB)
        after = rows(store, only=WEB)

        assert set(before["hours"]) <= set(after["hours"])
        assert set(before["edges"]) <= set(after["edges"])
        # The first live sample told of the hour before it too, which is a backfilled hour now.
        own = [row for row in before["peaks"] if f", {first - 1}, " not in row]
        assert set(own) <= set(after["peaks"]) and len(own) >= len(before["peaks"]) - 1
        assert len(after["hours"]) == len(before["hours"]) + 36
        assert check(store) == []
        # Coverage of hours heard live is not less than it was.
        bits = dict(store.ask("SELECT hour, bit_count(samples) FROM coverage"))
        assert all(bits[hour] == 60 for hour in range(first, first + hours - 1))


def test_samples_dropped_behind_a_backfill_leave_the_summaries_the_same():
    """Day by day, dropped by retention, and brought again: as if all were there."""
    with Store.open() as kept, Store.open() as rolling:
        bring(kept, range(HOUR, HOUR + 72), WEB, API)
        for _ in range(2):
            for day in range(3):
                bring(rolling, range(HOUR + day * 24, HOUR + day * 24 + 24), WEB, API)
                rolling.retain((HOUR + day * 24 + 24) * HOUR_NS, Retention())
        assert rolling.segments[0] > kept.segments[0]
        assert rows(rolling) == rows(kept)


def test_hours_that_cannot_be_learned_any_more_are_told():
    with Store.open() as store:
        bring(store, range(HOUR, HOUR + 24 * 6), WEB)
        end = (HOUR + 24 * 6) * HOUR_NS
        store.retain(end, Retention(hours_ns=3 * DAY_NS, edges_ns=3 * DAY_NS))
        before = rows(store)
        done = bring(store, [HOUR + 2], API)
        assert done[0] == Replaced(0, done[0].dropped) and done[0].dropped == {"settled": 12}
        assert rows(store) == before


def test_settled_hours_are_those_without_samples():
    with Store.open() as store:
        live_for_days(store, HOUR, 72, WEB)
        con = store._con
        assert find_settled(con, store._segments, HOUR, HOUR + 10) == 10
        assert find_settled(con, store._segments, HOUR + 66, HOUR + 72) == 0


def test_a_first_reading_and_a_heartbeat_go_in():
    with Store.open() as store:
        origin, _ = store.begin_backfill("files a")
        batch = batch_of([Point(HOUR * 3600 + 30, NAN, reading=7), Point(HOUR * 3600 + 60, 3, reading=10)])
        assert store.replace_hour(batch, HOUR, origin).stored == 2
        assert store.counters() != {}
        assert batch.end_ns[0] == (HOUR * 3600 + 30) * SECOND_NS


def test_hours_that_are_due_later_wait_for_their_time(monkeypatch):
    """Stopped between hours and peaks, then asked for an earlier time: nothing is forgotten."""
    with Store.open() as once, Store.open() as stopped:
        bring(once, range(HOUR, HOUR + 60), WEB)
        with monkeypatch.context() as broken:
            broken.setattr("ebbtide.store.peaks.derive", None)
            with pytest.raises(TypeError):
                bring(stopped, range(HOUR, HOUR + 60), WEB)
        stopped.roll_up(until_ns=(HOUR + 24) * HOUR_NS)
        stopped.roll_up()
        assert rows(stopped) == rows(once)
