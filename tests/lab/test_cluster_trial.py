"""What detections would have caught in a small simulated cluster."""

import hashlib

import pytest

from ebbtide.backtest import replay
from ebbtide.detect.catalogue import load
from ebbtide.errors import UsageError
from ebbtide.lab.cluster_scenarios import choose
from ebbtide.lab.cluster_study import Settings
from ebbtide.lab.cluster_trial import run_trial
from ebbtide.lab.simulate_write import fill
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.store import Store
from simulated import small

DETECTIONS = (load(DETECTORS).get("outbound_network_activity_from_process_corrected"),)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("trial") / "recorded.duckdb"
    with Store.open(path) as store:
        fill(store, small())
    return path


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


def test_what_cannot_be_planted_is_said(recorded, tmp_path):
    last_ns = small().plan.parameters.last * 30 * 10**9

    with pytest.raises(UsageError, match="none of these attacks"):
        run_trial(recorded, tmp_path, settings("X3"), last_ns - HOUR_NS, last_ns, lambda text: None)
