import dataclasses

from build import NGINX, Point, batch_of
from ebbtide.series import HOUR_NS, MINUTE_NS, Batch, Heartbeat
from ebbtide.store.store import Store


def test_gaps_are_minutes_without_a_sample_or_heartbeat_since_the_first_hour():
    points = [Point(at_s, 1.0, span_s=60) for at_s in range(60, 3 * 3600 + 1, 60) if not 3600 < at_s <= 3600 + 20 * 60]
    beats = dataclasses.replace(Batch.empty(), heartbeats=(Heartbeat("prod", HOUR_NS, HOUR_NS + 5 * MINUTE_NS),))
    late = [Point(2 * 3600 + 90, 1.0, span_s=30, sender=dataclasses.replace(NGINX, cluster="dev"))]
    with Store.open() as store:
        for batch in (batch_of(points), beats, batch_of(late)):
            store.append(batch, 1)
        store.roll_up()

        assert store.coverage.gap_minutes(0, 3 * HOUR_NS) == {"prod": 15, "dev": 59}
        assert store.coverage.gap_minutes(0, HOUR_NS) == {"prod": 0, "dev": 0}
