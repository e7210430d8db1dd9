"""Time goes wrong: the machine's clock jumps by a day, a sink is down for hours. No real clock is used."""

import os
import random
from collections import Counter

import pytest
from finding_samples import sample

from build import batch_of
from ebbtide.deliver.backoff import Retry
from ebbtide.deliver.memory import FaultySink
from ebbtide.deliver.message import queue
from ebbtide.deliver.pump import Lane, pump
from ebbtide.deliver.sink import Retryable
from ebbtide.finding.form import to_json
from ebbtide.finding.lifecycle import Change, Episode
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS
from ebbtide.service.steady import SteadyClock
from ebbtide.store.retention import Retention
from ebbtide.store.store import Store
from serviced import SINKS, rounds_of
from test_engine import burst, quiet

HOURS = 27
#: The hours in which the clock is wrong.
WRONG = range(23, 25)
#: The first hour that is ticked; what came before is there then.
BEGIN = 22
#: How long the sink is down; `make faults` asks for longer.
DOWN_HOURS = int(os.environ.get("EBBTIDE_FAULT_HOURS", "2"))


def findings_of(step_ns: int) -> tuple[list[tuple[object, ...]], Counter[str]]:
    """What a service finds whose clock is wrong by `step_ns` for some hours, and the messages it queues, by change."""
    points = quiet(until_s=HOURS * 3600) + burst(end_s=24 * 3600)
    right_ns = step_now_ns = 0
    clock = SteadyClock(lambda: right_ns + step_now_ns, lambda: right_ns)
    with Store.open() as store:
        rounds = rounds_of(store, 0)
        origin = store.begin("live", "test")
        for hour in range(BEGIN, HOURS):
            since = 0 if hour == BEGIN else hour
            store.append(batch_of(one for one in points if since <= one.end_s / 3600 < hour + 1), origin)
            for minute in range(10, 70, 20):
                right_ns = hour * HOUR_NS + minute * MINUTE_NS
                step_now_ns = step_ns if hour in WRONG else 0
                clock.witness(right_ns - MINUTE_NS)
            right_ns += 21 * MINUTE_NS
            clock.witness(right_ns - MINUTE_NS)
            while rounds.go(clock()).is_behind:
                pass
            if hour % 2 == 0:
                rounds.dropped.update(store.retain(clock(), Retention()))
        found = [(one.finding.uid, to_json(one.finding), one.peak_count, one.closed_ns) for one in store.findings.all()]
        uids = {uid for uid, *_ in found}
        return found, Counter(row.change for row in store.outbox.head("s", 1000) if row.uid in uids)


@pytest.fixture(scope="module")
def right() -> tuple[list[tuple[object, ...]], Counter[str]]:
    """What a service with a right clock finds and tells."""
    return findings_of(0)


@pytest.mark.parametrize("step_ns", [DAY_NS, -DAY_NS], ids=["forward", "back"])
def test_a_clock_that_jumps_by_a_day_and_back_neither_loses_nor_invents_a_finding(step_ns, right, record_property):
    found, told = findings_of(step_ns)

    assert len(found) == 1
    assert (found, told) == right
    way = "forward" if step_ns > 0 else "back"
    record_property(
        "figure",
        f"the clock jumps a day {way} for {len(WRONG)} hours, and returns "
        f"| {len(found)} finding, {told.total()} messages | the same findings and messages as with a right clock",
    )


def test_a_sink_that_is_down_for_hours_gets_everything_once_and_in_order(record_property):
    down_ns, many = DOWN_HOURS * HOUR_NS, 5 * DOWN_HOURS
    down, rng = [Retryable("the connection was refused or cut")] * 10_000, random.Random(2)
    sink = FaultySink(down)
    with Store.open() as store:
        lane, now_ns, queued = {"s": Lane(sink, Retry())}, 0, 0
        while True:
            if queued < many and now_ns >= queued * down_ns // many:
                one = Episode(sample(uid=f"u{queued:03}"), 1)
                with store.transaction():
                    queue(store.outbox, [(Change.OPENED, one)], {"s": SINKS["s"]}, now_ns, "")
                queued += 1
            if now_ns >= down_ns:
                sink._faults = iter(())
            report = pump(store.outbox, lane, now_ns, rng.random)["s"]
            if queued == many and not report.waiting:
                break
            soon_ns = queued * down_ns // many if queued < many else down_ns
            now_ns = max(now_ns + MINUTE_NS // 6, min(report.next_ns or 0, max(soon_ns, now_ns)) or soon_ns)
        dead, attempts = report.dead, sink.calls
    told = [one.finding.uid for one in sink.deliveries]

    assert told == [f"u{number:03}" for number in range(many)]
    assert dead == 0
    record_property(
        "figure",
        f"a sink down for {down_ns // HOUR_NS} hours (simulated) | {attempts - many} attempts in vain, {many} messages "
        f"waiting | all {many} delivered once and in order {(now_ns - down_ns) / MINUTE_NS:.0f} min after its return, "
        f"{dead} given up",
    )
