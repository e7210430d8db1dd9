"""Live is backtest for the default detection too, whose state grows day by day: `ebbtide.live` over learned days."""

import dataclasses
import json

import numpy as np
import pytest

from build import Point
from ebbtide.agenda import Pace
from ebbtide.backtest import Backtest, replay
from ebbtide.detect.catalogue import load
from ebbtide.finding.form import to_json
from ebbtide.live import Clockwork
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Batch
from ebbtide.store.store import Store
from learned_traffic import FLEET, START_NS, STEPS_PER_DAY, batch, batch_of, traffic

CATALOGUE = load(DETECTORS)
HOURLY = {id: CATALOGUE.get(id).model_copy(update={"every_ns": HOUR_NS}) for id in ("outbound", "joined")}
PATIENT = Pace(lateness_ns=10 * MINUTE_NS)
DAYS = 5


@pytest.fixture(scope="module")
def fleet() -> Batch:
    sent, received = traffic(DAYS)
    for day, entity in ((3, 0), (4, 1), (4, 2)):
        first = day * STEPS_PER_DAY + 30 * (entity + 1)
        sent[entity, first : first + 18] += 3e9
    strangers = [
        Point(
            START_NS / SECOND_NS + 4 * 86_400 + 3600 * hour,
            8e8,
            sender=FLEET[entity],
            to=f"s{hour}.example",
            span_s=300,
        )
        for entity, hour in ((0, 3), (0, 4), (1, 9), (2, 20))
    ]
    return Batch.concat([batch(sent, received), batch_of(strangers)])


def part(whole: Batch, chosen) -> Batch:
    return dataclasses.replace(
        whole,
        ref=whole.ref[chosen],
        start_ns=whole.start_ns[chosen],
        end_ns=whole.end_ns[chosen],
        value=whole.value[chosen],
        reading=whole.reading[chosen],
    )


@pytest.fixture(scope="module")
def expected(fleet) -> dict[str, dict[str, tuple[str, int | None]]]:
    told = {}
    with Store.open() as store:
        store.append(fleet, store.begin("import", "fleet"))
        store.roll_up()
        for id, detection in HOURLY.items():
            result = Backtest(detection)
            for evaluation in replay(store, detection, START_NS, START_NS + DAYS * DAY_NS - HOUR_NS, HOUR_NS):
                result.add(evaluation)
            assert len(result.episodes) >= 2
            told[id] = {uid: (to_json(one.finding), one.closed_ns) for uid, one in result.episodes.items()}
    return told


def test_the_joined_ones_have_findings_of_both_parts_and_of_one(expected):
    parts = [json.loads(text)["evidence"] for text, _ in expected["joined"].values()]

    assert {(one["outbound"] is not None, one["novelty"] is not None) for one in parts} >= {(True, True)}
    assert len(expected["joined"]) >= len(expected["outbound"])


@pytest.mark.parametrize(("id", "every_s"), [("outbound", 3001), ("outbound", 18_077), ("joined", 18_077)])
def test_data_in_any_order_within_the_lateness_are_judged_as_by_a_backtest(fleet, expected, id, every_s, tmp_path):
    rng = np.random.default_rng(5)
    arrival = fleet.end_ns + rng.integers(0, 590 * SECOND_NS, len(fleet))
    path, is_restarting = tmp_path / "s.duckdb", every_s > 3600
    store = Store.open(path)
    clock = Clockwork(store, [HOURLY[id]], pace=PATIENT)
    before = 0
    for now_ns in range(START_NS, START_NS + DAYS * DAY_NS + 2 * every_s * SECOND_NS, every_s * SECOND_NS):
        new = np.flatnonzero((arrival > before) & (arrival <= now_ns))
        if len(new):
            store.append(part(fleet, new[np.argsort(arrival[new], kind="stable")]), 1)
        before = now_ns
        assert clock.tick(now_ns).failed == {}
        if is_restarting:
            store.close()
            store = Store.open(path)
            clock = Clockwork(store, [HOURLY[id]], pace=PATIENT)
    with store:
        assert store.progress.reached()[id, "prod"].judged_ns == START_NS + DAYS * DAY_NS - HOUR_NS
        told = {one.finding.uid: (to_json(one.finding), one.closed_ns) for one in store.findings.all()}
    assert told == expected[id]
