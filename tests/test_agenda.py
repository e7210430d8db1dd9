import dataclasses

from ebbtide.agenda import Pace, due, due_again, silent, too_old, watermarks
from ebbtide.series import HOUR_NS, MINUTE_NS
from ebbtide.store.progress import TOGETHER, LateHour, Reach
from test_engine import CORRECTED

HOURLY = CORRECTED.model_copy(update={"id": "hourly", "lag_ns": 0})
POOLED = HOURLY.model_copy(update={"id": "pooled", "by": ("workload", "process")})
NOW = 100 * HOUR_NS


def at_hours(steps) -> list[tuple[float, str, tuple[str, ...]]]:
    return [(step.at_ns / HOUR_NS, step.detection.id, step.clusters) for step in steps]


def found(detections, newest, reached, now_ns=NOW, **pace):
    first = dict.fromkeys(newest, 0)
    judged = {key: Reach(round(hour * HOUR_NS), 0) for key, hour in reached.items()}
    steps, is_more = due(detections, newest, first, judged, now_ns, Pace(**pace))
    return at_hours(steps), is_more


def test_a_watermark_lies_the_lateness_before_the_newest_and_never_ahead():
    marks = watermarks({"a": NOW - HOUR_NS, "b": NOW + HOUR_NS}, NOW, Pace())

    assert marks == {"a": NOW - 62 * MINUTE_NS, "b": NOW - 2 * MINUTE_NS}


def test_an_instant_is_due_once_the_watermark_has_passed_it():
    reached = {("hourly", "a"): 98}

    assert found([HOURLY], {"a": 99 * HOUR_NS + 2 * MINUTE_NS - 1}, reached) == ([], False)
    assert found([HOURLY], {"a": 99 * HOUR_NS + 2 * MINUTE_NS}, reached) == ([(99, "hourly", ("a",))], False)


def test_the_lag_of_a_detection_counts_towards_the_lateness_but_nothing_is_judged_in_the_future():
    lagging = HOURLY.model_copy(update={"lag_ns": HOUR_NS})

    assert found([lagging], {"a": NOW}, {("hourly", "a"): 98})[0] == [(99, "hourly", ("a",)), (100, "hourly", ("a",))]


def test_clusters_that_have_come_as_far_are_judged_together_and_a_slow_one_apart():
    newest = {"a": NOW, "b": NOW, "slow": NOW - 2 * HOUR_NS}
    reached = {("hourly", "a"): 98, ("hourly", "b"): 98, ("hourly", "slow"): 96}

    assert found([HOURLY], newest, reached)[0] == [(97, "hourly", ("slow",)), (99, "hourly", ("a", "b"))]


def test_rows_that_pool_clusters_wait_for_all_that_are_not_silent():
    newest = {"a": NOW, "slow": NOW - 12 * MINUTE_NS, "gone": NOW - 9 * HOUR_NS}

    assert silent(newest, NOW, Pace()) == {"gone"}
    assert found([POOLED], newest, {("pooled", TOGETHER): 98})[0] == [(99, "pooled", (TOGETHER,))]
    assert found([POOLED], {"gone": 0}, {})[0] == []


def test_what_was_missed_is_bounded_and_in_order_of_time():
    steps, is_more = found([HOURLY, POOLED], {"a": NOW}, {("hourly", "a"): 90, ("pooled", TOGETHER): 92}, most=4)

    assert [hour for hour, _, _ in steps] == [91, 92, 93, 93]
    assert is_more


def test_a_new_detection_begins_with_the_first_sample_but_a_day_back_at_most():
    steps, _ = due([HOURLY], {"a": NOW}, {"a": 97 * HOUR_NS + 1}, {}, NOW, Pace())
    assert at_hours(steps)[0][0] == 98

    steps, _ = due([HOURLY], {"a": NOW}, {"a": 0}, {}, NOW, Pace())
    assert at_hours(steps)[0][0] == 76


def test_what_was_missed_long_ago_is_judged_as_often_as_history():
    every_minute = HOURLY.model_copy(update={"every_ns": MINUTE_NS})
    steps, _ = found([every_minute], {"a": NOW}, {("hourly", "a"): 98.5}, most=200)

    minutes = [round((hour - 98) * 60) for hour, _, _ in steps]
    assert minutes == [35, 40, 45, 50, 55, *range(59, 119)]
    assert found([HOURLY], {"a": NOW}, {("hourly", "a"): 96.5})[0] == [(h, "hourly", ("a",)) for h in (97, 98, 99)]


def test_a_late_hour_is_judged_again_wherever_it_was_looked_at():
    judged = {("hourly", "a"): Reach(NOW, NOW)}

    assert at_hours(due_again([HOURLY], [LateHour("a", 90)], judged)) == [(91, "hourly", ("a",))]
    every_minute = HOURLY.model_copy(update={"every_ns": MINUTE_NS})
    again = at_hours(due_again([every_minute], [LateHour("a", 90)], judged))
    assert [hour for hour, _, _ in again] == [90.25, 90.5, 90.75, 91, 91.25, 91.5, 91.75]


def test_only_instants_that_were_judged_are_judged_again():
    assert due_again([HOURLY], [LateHour("a", 100)], {("hourly", "a"): Reach(NOW, NOW)}) == []
    assert due_again([HOURLY], [LateHour("b", 90)], {("hourly", "a"): Reach(NOW, NOW)}) == []


def test_a_late_hour_is_too_old_a_day_before_its_clusters_newest():
    late = [LateHour("a", 74), LateHour("a", 76)]

    assert too_old(late, {"a": NOW}, Pace()) == [late[0]]
    assert too_old(late, {"a": NOW}, dataclasses.replace(Pace(), late_ns=48 * HOUR_NS)) == []
