import random

import pytest
from delivery_samples import episode
from finding_samples import NOON_NS
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.deliver.backoff import Retry
from ebbtide.deliver.memory import FaultySink, MemorySink
from ebbtide.deliver.message import queue
from ebbtide.deliver.pump import Lane, pump
from ebbtide.deliver.sink import Permanent, Retryable
from ebbtide.deliver.sinks import load_sinks
from ebbtide.finding.lifecycle import Change
from ebbtide.series import DAY_NS, SECOND_NS
from ebbtide.store.outbox import Message
from ebbtide.store.store import Store

CHANGES = [(Change.OPENED, episode()), (Change.UPDATED, episode()), (Change.CLOSED, episode())]
LINES = load_sinks("sinks: {a: {type: lines, path: x}, b: {type: lines, path: y}}", "e", {}, str)
WAIT = Retryable("busy")


@pytest.fixture
def outbox():
    with Store.open() as store:
        outbox = store.outbox
        queue(outbox, CHANGES, LINES, NOON_NS, "https://e.example/{uid}")
        yield outbox


def half() -> float:
    return 0.5


def test_what_waits_is_delivered_in_order_with_its_link(outbox):
    sink = MemorySink()
    report = pump(outbox, {"a": Lane(sink)}, NOON_NS, half)["a"]
    assert [one.change for one in sink.deliveries] == ["opened", "updated", "closed"]
    assert sink.deliveries[0].finding == CHANGES[0][1].finding
    assert sink.deliveries[0].link == f"https://e.example/{CHANGES[0][1].finding.uid}"
    assert (report.delivered, report.waiting, report.next_ns) == (3, 0, None)


def test_hidden_findings_and_unwanted_changes_are_not_queued():
    only = load_sinks("sinks: {a: {type: lines, path: x, changes: [closed]}}", "e", {}, str)
    with Store.open() as store:
        outbox = store.outbox
        queue(outbox, [*CHANGES, (Change.CLOSED, episode(hidden_by=("f",)))], only, NOON_NS)
        assert [row.change for row in outbox.head("a", 9)] == ["closed"]


def test_a_failure_holds_back_what_comes_after_it_until_its_time(outbox):
    sink = FaultySink([WAIT])
    lanes = {"a": Lane(sink)}
    report = pump(outbox, lanes, NOON_NS, half)["a"]
    assert (report.delivered, report.failed, report.waiting, report.error) == (0, 1, 3, "busy")
    assert report.next_ns == NOON_NS + SECOND_NS // 2
    pump(outbox, lanes, report.next_ns - 1, half)
    assert sink.calls == 1
    pump(outbox, lanes, report.next_ns, half)
    assert [one.change for one in sink.deliveries] == ["opened", "updated", "closed"]


def test_what_arrived_but_was_not_confirmed_comes_again_with_the_same_id(outbox):
    sink = FaultySink([WAIT], arrives=True)
    pump(outbox, {"a": Lane(sink)}, NOON_NS, half)
    pump(outbox, {"a": Lane(sink)}, NOON_NS + SECOND_NS, half)
    ids = [one.id for one in sink.deliveries]
    assert len(ids) == 4
    assert ids[0] == ids[1]


def test_a_dead_sink_touches_no_other(outbox):
    well = MemorySink()
    pump(outbox, {"a": Lane(FaultySink([WAIT] * 9)), "b": Lane(well)}, NOON_NS, half)
    assert len(well.deliveries) == 3


def test_the_peers_wish_is_longer_than_the_dice(outbox):
    sink = FaultySink([Retryable("busy", retry_after_s=30)])
    assert pump(outbox, {"a": Lane(sink)}, NOON_NS, half)["a"].next_ns == NOON_NS + 30 * SECOND_NS


def test_what_is_refused_dies_at_once_and_the_next_one_follows(outbox):
    sink = FaultySink([Permanent("400")])
    report = pump(outbox, {"a": Lane(sink)}, NOON_NS, half)["a"]
    assert (report.delivered, report.given_up, report.dead) == (2, 1, 1)
    outbox.replay(NOON_NS + 1)
    pump(outbox, {"a": Lane(sink)}, NOON_NS + 1, half)
    assert [one.change for one in sink.deliveries] == ["updated", "closed", "opened"]


def test_after_its_attempts_a_delivery_dies_and_the_others_live(outbox):
    lanes = {"a": Lane(FaultySink([WAIT] * 3), Retry(attempts=3))}
    for hour in range(4):
        pump(outbox, lanes, NOON_NS + hour * 3600 * SECOND_NS, half)
    [dead] = outbox.dead("a")
    assert (dead.row.change, dead.reason, dead.row.attempts, dead.error) == ("opened", "attempts", 3, "busy")
    assert outbox.counts("a")["delivered"] == 2


def test_what_is_too_old_dies_when_the_sink_still_fails(outbox):
    report = pump(outbox, {"a": Lane(FaultySink([WAIT]))}, NOON_NS + DAY_NS + 1, half)["a"]
    assert (report.given_up, report.waiting) == (3, 0)
    assert {one.reason for one in outbox.dead("a")} == {"age"}


def test_what_is_old_is_delivered_when_the_sink_is_well(outbox):
    assert pump(outbox, {"a": Lane(MemorySink())}, NOON_NS + 9 * DAY_NS, half)["a"].delivered == 3


def test_a_fault_of_a_sink_is_told_under_its_name_and_tried_again(outbox):
    sink = FaultySink([ZeroDivisionError("oops")])
    report = pump(outbox, {"a": Lane(sink)}, NOON_NS, half)["a"]
    assert report.error == "the sink a is at fault: ZeroDivisionError: oops"
    assert report.waiting == 3


def test_a_row_that_holds_no_delivery_dies():
    with Store.open() as store:
        outbox = store.outbox
        outbox.write([Message("u", "opened", NOON_NS, "{}")], "a")
        assert pump(outbox, {"a": Lane(MemorySink())}, NOON_NS, half)["a"].dead == 1


def test_one_call_sends_so_many_and_says_to_come_again(outbox):
    report = pump(outbox, {"a": Lane(MemorySink())}, NOON_NS, half, most=2)["a"]
    assert (report.delivered, report.waiting, report.next_ns) == (2, 1, 0)


def test_waits_grow_to_their_ceiling_and_spread_evenly():
    retry, rng = Retry(), random.Random(7).random
    assert [retry.wait_ns(n, lambda: 1.0) // SECOND_NS for n in (1, 2, 3, 9, 10, 500)] == [1, 2, 4, 256, 300, 300]
    waits = [retry.wait_ns(20, rng) / SECOND_NS for _ in range(2000)]
    assert 0 <= min(waits) < 5
    assert 140 < sum(waits) / len(waits) < 160


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([None, WAIT, Permanent("no"), ValueError("bug")]), max_size=8), st.booleans())
def test_whatever_fails_everything_arrives_in_order_or_is_dead(faults, arrives):
    with Store.open() as store:
        outbox = store.outbox
        queue(outbox, CHANGES, LINES, NOON_NS)
        sink = FaultySink(faults, arrives=arrives)
        for step in range(12):
            pump(outbox, {"a": Lane(sink)}, NOON_NS + step * 600 * SECOND_NS, half)
        first_seen = list(dict.fromkeys(one.id for one in sink.deliveries))
        dead = {f"{one.row.uid}/{one.row.number}" for one in outbox.dead("a")}
        assert outbox.state("a").waiting == 0
        assert first_seen == sorted(first_seen)
        assert len(set(first_seen) | dead) == 3
