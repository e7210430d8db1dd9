import dataclasses

import pytest

from build import NGINX, Point, batch_of
from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS, Batch, Heartbeat
from ebbtide.store.progress import TOGETHER, LateHour, Reach
from ebbtide.store.store import Store

DEV = dataclasses.replace(NGINX, cluster="dev")
POINTS = [Point(7200, 1.0), Point(3600, 1.0), Point(9000, 1.0, sender=DEV), Point(9900, 1.0, sender=None, receiver=DEV)]


def test_the_newest_of_each_cluster_is_its_senders_or_else_its_receivers():
    with Store.open() as store:
        store.append(batch_of(POINTS), 1)

        assert store.arrivals.newest() == {"prod": 7200 * SECOND_NS, "dev": 9900 * SECOND_NS}
        assert store.arrivals.first() == {"prod": 3600 * SECOND_NS, "dev": 9000 * SECOND_NS}


def test_a_heartbeat_counts_as_heard():
    batch = dataclasses.replace(Batch.empty(), heartbeats=(Heartbeat("quiet", 0, HOUR_NS),))
    with Store.open() as store:
        store.append(batch, 1)

        assert store.arrivals.newest() == {"quiet": HOUR_NS}
        assert store.arrivals.first() == {}


@pytest.mark.parametrize("is_rolled_up", [True, False])
def test_after_opening_it_knows_what_is_stored(tmp_path, is_rolled_up):
    beat = dataclasses.replace(Batch.empty(), heartbeats=(Heartbeat("quiet", 0, 90 * MINUTE_NS),))
    with Store.open(tmp_path / "a.duckdb") as store:
        store.append(batch_of(POINTS), 1)
        store.append(beat, 1)
        if is_rolled_up:
            store.roll_up()
    with Store.open(tmp_path / "a.duckdb") as store:
        assert store.arrivals.newest() == {"prod": 7200 * SECOND_NS, "dev": 9900 * SECOND_NS, "quiet": 89 * MINUTE_NS}
        assert store.arrivals.first()["prod"] <= 3600 * SECOND_NS
        assert store.arrivals.first()["dev"] <= 9000 * SECOND_NS


def test_what_ends_before_the_judged_is_late_and_told_once():
    with Store.open() as store:
        store.append(batch_of([Point(9000, 1.0), Point(9000, 1.0, sender=DEV)]), 1)
        store.arrivals.judging({"prod": 7200 * SECOND_NS})

        store.append(batch_of([Point(7199, 1.0), Point(7200, 1.0), Point(7000, 1.0, sender=DEV)]), 1)
        store.append(batch_of([Point(7198, 1.0), Point(7199, 1.0)]), 1)

        assert store.progress.late().hours == (LateHour("prod", 1),)
        assert store.progress.late().last == 1


def test_what_is_judged_together_is_late_for_every_cluster():
    with Store.open() as store:
        store.append(batch_of(POINTS), 1)
        store.arrivals.judging({TOGETHER: 7200 * SECOND_NS})
        store.append(batch_of([Point(10, 1.0), Point(20, 1.0, sender=DEV)]), 1)

        assert store.progress.late().hours == (LateHour("dev", 0), LateHour("prod", 0))
        assert TOGETHER not in store.arrivals.newest()


def test_how_far_was_judged_survives_a_failed_transaction():
    with Store.open() as store:
        store.append(batch_of(POINTS), 1)
        store.progress.save("d", ["prod"], Reach(8000 * SECOND_NS, 7200 * SECOND_NS))
        with pytest.raises(ZeroDivisionError), store.transaction():
            store.append(batch_of([Point(99_000, 1.0)]), 1)
            raise ZeroDivisionError

        assert store.arrivals.newest()["prod"] == 7200 * SECOND_NS
        store.append(batch_of([Point(5000, 1.0)]), 1)
        assert store.progress.late().hours == (LateHour("prod", 1),)
