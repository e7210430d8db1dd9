import dataclasses

from build import NGINX, Point, batch_of
from ebbtide.errors import ServiceError
from ebbtide.health import Problem, Severity, SourceState
from ebbtide.series import HOUR_NS, MINUTE_NS
from ebbtide.service.vitals import Figures, Vitals, hiding_shares
from ebbtide.store.outbox import Message
from ebbtide.store.retention import Retention
from ebbtide.store.store import Store
from serviced import SINKS, rounds_of

UNREAD = Problem(Severity.WARNING, "the preset x takes nothing", "is it the right one?")
DEV = dataclasses.replace(NGINX, cluster="dev")


def vitals_of(store: Store, rounds, figures: Figures | None = None) -> Vitals:
    return Vitals(store, rounds, SINKS, MINUTE_NS, lambda: figures or Figures())


def texts(health) -> list[str]:
    return [one.text for one in health.problems]


def test_health_tells_of_every_source_detection_and_sink():
    with Store.open() as store:
        rounds = rounds_of(store, 0)
        for minute in range(1, 180):
            points = [Point(60 * minute, 1.0, span_s=60)]
            if minute < 100:
                points.append(Point(60 * minute, 1.0, sender=DEV, span_s=60))
            store.append(batch_of(points), 1)
            rounds.go(minute * MINUTE_NS)
        health = vitals_of(store, rounds).gather(180 * MINUTE_NS)

    dev, prod = health.sources
    assert (prod.cluster, prod.state, prod.interval_s, prod.entities) == ("prod", SourceState.LIVE, 60, 1)
    assert (prod.newest_ns, prod.watermark_ns) == (179 * MINUTE_NS, 177 * MINUTE_NS)
    assert (dev.state, dev.gap_minutes) == (SourceState.SILENT, 21)
    [judged] = health.detections
    assert judged.judged_until_ns == 2 * HOUR_NS
    assert judged.unscored == {"no_baseline": 1}
    [sink] = health.sinks
    assert (sink.name, sink.kind, sink.waiting) == ("s", "lines", 1)
    assert health.is_ready
    assert texts(health) == ["Nothing arrives from cluster dev: what it sends is not watched"]
    assert health.capacity["series"] == 2


def test_rounds_that_do_not_go_well_make_the_service_unready():
    with Store.open() as store:
        rounds = rounds_of(store, 0)
        vitals = vitals_of(store, rounds)

        assert vitals.is_ready(5 * MINUTE_NS)
        assert not vitals.is_ready(5 * MINUTE_NS + 1)
        assert not vitals.is_ready(-5 * MINUTE_NS - 1)
        assert vitals.gather(6 * MINUTE_NS).problems[0].severity is Severity.CRITICAL
        rounds.go(6 * MINUTE_NS)
        assert vitals.gather(6 * MINUTE_NS).is_ready


def test_clocks_failing_sinks_floods_and_what_came_too_late_are_told():
    with Store.open() as store:
        rounds = rounds_of(store, 0)
        rounds.go(1)
        store.append(batch_of([Point(60 * 10, 1.0)]), 1)
        rounds.go(5 * MINUTE_NS)
        with store.transaction():
            store.outbox.write([Message("u", "opened", 1, "{}")], "s")
        store.outbox.failed(store.outbox.head("s", 1)[0], "refused", 5)
        figures = Figures(
            {"dropped_too_late": 7},
            {"guard_folded_series": 3.0, "commits_failing": 4.0, "clock_step_s": -86400.0},
            (UNREAD,),
        )
        health = vitals_of(store, rounds, figures).gather(6 * MINUTE_NS)

    told = " | ".join(texts(health))
    assert "Nothing that arrives can be stored: 4 commits in a row have failed" in told
    assert not health.is_ready
    assert UNREAD in health.problems
    assert "The clock of this machine has jumped by -86400 s, and is not followed" in told
    assert "The clock of cluster prod is 300 s ahead" in told
    assert "The sink s fails, 1 deliveries wait: refused" in told
    assert "7 samples came more than a day late" in told
    assert "More names arrive than the caps allow" in told
    assert health.received == {"dropped_too_late": 7}


def test_a_store_that_cannot_be_opened_anew_is_told_and_the_rest_as_well(tmp_path, monkeypatch):
    with Store.open(tmp_path / "s.duckdb") as store:
        rounds = rounds_of(store, 0)
        vitals = vitals_of(store, rounds, Figures(capacity={"commits_failing": 4.0}))

        def refuse() -> None:
            raise ServiceError("the disk is full", hint="make room")

        monkeypatch.setattr(store, "heal", refuse)
        health = vitals.gather(MINUTE_NS)

    assert "The store cannot be read: the disk is full" in texts(health)
    assert not health.is_ready
    assert health.capacity["commits_failing"] == 4
    assert vitals.trouble() == "nothing that arrives can be stored: 4 commits in a row have failed"


def test_a_filter_that_hides_most_is_told_once_there_are_enough_findings():
    assert hiding_shares([("a",)] * 19) == {}
    assert hiding_shares([("a",)] * 15 + [("a", "b")] * 5) == {"a": 1.0, "b": 0.25}


def test_the_disk_and_its_budget_are_told(tmp_path):
    with Store.open(tmp_path / "s.duckdb") as store:
        store.append(batch_of([Point(60 * minute, 1.0, span_s=60) for minute in range(1, 60)]), 1)
        store.checkpoint()
        rounds = rounds_of(store, 0)
        told = vitals_of(store, rounds).gather(HOUR_NS).capacity
        assert "budget_bytes" not in told
        rounds.retention = Retention(disk_budget_bytes=1 << 30)
        told = vitals_of(store, rounds).gather(HOUR_NS).capacity

    assert 0 < told["held_bytes"] <= told["file_bytes"]
    assert told["budget_bytes"] == 0.75 * 2**30
    assert 0 < told["disk_free_bytes"] < told["disk_size_bytes"]


def test_a_budget_that_is_reached_is_no_problem_until_detections_miss_what_it_took():
    with Store.open() as store:
        store.append(batch_of([Point(60 * minute, 1.0, span_s=60) for minute in range(1, 180)]), 1)
        store.roll_up()
        rounds = rounds_of(store, 0)
        rounds.retention = Retention(disk_budget_bytes=1 << 30)
        rounds.dropped.update(samples_over_budget=9)
        quiet = vitals_of(store, rounds).gather(3 * HOUR_NS)
        rounds.dropped.update(hours_over_budget=9)
        short = vitals_of(store, rounds).gather(3 * HOUR_NS)

    assert not [one for one in texts(quiet) if "budget" in one]
    assert (quiet.capacity["history_kept_hours_s"], quiet.capacity["history_short_hours_s"]) == (10_800, 0)
    assert [one for one in texts(short) if "budget" in one] == [
        "The disk budget leaves 3 h of hours; detections look back 29 d 21 h further"
    ]
    assert short.capacity["history_short_hours_s"] == 30 * 86_400 - 10_800
