"""What detections would have caught in a small simulated cluster."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ebbtide.backtest import replay
from ebbtide.detect.catalogue import load
from ebbtide.errors import UsageError
from ebbtide.lab.cluster_scenarios import choose
from ebbtide.lab.cluster_study import Heard, Settings, score_of
from ebbtide.lab.cluster_trial import run_trial
from ebbtide.lab.overlay import copy_store
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.store import Store
from simulated import small, small_store

DETECTIONS = (load(DETECTORS).get("outbound_network_activity_from_process_corrected"),)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return Path(shutil.copy(small_store(tmp_path_factory), tmp_path_factory.mktemp("trial") / "recorded.duckdb"))


def settings(word: str) -> Settings:
    return Settings(DETECTIONS, replay, choose([word]), rounds=1)


def test_each_attack_is_caught_told_or_missed_and_costs_what_had_left(recorded, tmp_path):
    before = hashlib.sha256(recorded.read_bytes()).hexdigest()
    last_ns = small().plan.parameters.last * 30 * 10**9

    trial = run_trial(recorded, tmp_path, settings("X1"), last_ns - DAY_NS // 2, last_ns, lambda text: None)

    assert hashlib.sha256(recorded.read_bytes()).hexdigest() == before
    [tally] = trial.tallies
    assert tally.planted == len(trial.catches) > 10
    assert 0 < tally.caught == sum(one.is_caught for one in trial.catches) <= tally.told
    assert tally.told == sum(one.by == (tally.detection,) for one in trial.catches)
    for one in trial.catches:
        assert one.is_told == (one.delay_s is not None) >= one.is_caught
        assert 0 <= one.lost <= one.event.sent
        assert one.is_told or one.lost == one.event.sent


def test_a_store_that_was_judged_already_is_not_judged_again(recorded, tmp_path):
    last_ns = small().plan.parameters.last * 30 * 10**9
    span = (last_ns - DAY_NS // 4, last_ns)
    [detection], copies = DETECTIONS, [tmp_path / name for name in ("once", "again")]
    for one in copies:
        one.mkdir()
    once = run_trial(recorded, copies[0], settings("X8"), *span, lambda text: None)
    copy = copy_store(recorded, tmp_path / "copy.duckdb")
    heard, ticks = Heard(), []
    with Store.open(copy) as store:
        for evaluation in replay(store, detection, span[0] + 1, span[1], detection.every_ns):
            heard.add(detection, evaluation, score_of)

    def counted(*words):
        ticks.append(words[2:4])
        yield from replay(*words)

    again = run_trial(copy, copies[1], replace(settings("X8"), replay=counted), *span, lambda text: None, heard)

    assert again.catches == once.catches and len(once.catches) > 3
    assert (span[0] + 1, span[1]) not in ticks


def test_without_rounds_each_attack_is_planted_once(recorded, tmp_path):
    last_ns = small().plan.parameters.last * 30 * 10**9
    wanted = replace(settings("X1"), rounds=None, scenarios=choose(["X1", "X8"]), share=0.2)

    trial = run_trial(recorded, tmp_path, wanted, last_ns - DAY_NS // 2, last_ns, lambda text: None)

    assert {one.event.scenario for one in trial.catches} == {"X1", "X8"}
    assert len({one.event.uid[:2] for one in trial.catches}) > 1


def test_what_cannot_be_planted_is_said(recorded, tmp_path):
    last_ns = small().plan.parameters.last * 30 * 10**9

    with pytest.raises(UsageError, match="none of these attacks"):
        run_trial(recorded, tmp_path, settings("X3"), last_ns - HOUR_NS, last_ns, lambda text: None)
