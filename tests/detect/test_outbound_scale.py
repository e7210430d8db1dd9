"""One scale for both channels, and the budget it keeps."""

import numpy as np

from ebbtide.baseline.calibration import count_findings
from ebbtide.detect.outbound import Channels
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_scale import apply_scale, count_others, learn_scale, learn_thresholds

OPTIONS = OutboundOptions()
HOURS = np.arange(720) % 24


def fleet(seed=1, entities=60):
    random = np.random.default_rng(seed)
    return Channels(random.exponential(1.5, (entities, 720)), random.exponential(1.2, (entities, 720)))


def scored(scale, raw, has_received=None):
    alive = np.ones(len(raw.ratio), bool) if has_received is None else has_received
    return apply_scale(scale, raw, count_others(scale, raw, 2), HOURS, alive, OPTIONS)


def test_the_threshold_keeps_the_budget_where_it_was_learned():
    raw = fleet()
    scale = learn_scale(raw, HOURS, OPTIONS)
    score = scored(scale, raw).score
    for budget in (100.0, 30.0, 10.0):
        threshold = learn_thresholds(score, [budget], OPTIONS)[0]
        findings = count_findings(score, OPTIONS.merge_hours).at(np.array([threshold]))[0]
        assert budget * 0.9 <= findings / (60 * 30) * 1000 <= budget


def test_a_score_is_the_log_of_how_many_are_this_surprising():
    raw = fleet(2)
    score = scored(learn_scale(raw, HOURS, OPTIONS), raw).score
    findings = count_findings(score, OPTIONS.merge_hours).at(np.array([-np.log(30.0)]))[0]
    assert 15 < findings / (60 * 30) * 1000 < 45


def test_without_received_data_the_volume_has_the_whole_budget():
    raw = fleet(3)
    scale = learn_scale(raw, HOURS, OPTIONS)
    both, alone = scored(scale, raw), scored(scale, raw, np.zeros(60, bool))
    assert np.isneginf(alone.parts.ratio).all()
    np.testing.assert_allclose(alone.score, both.parts.volume - np.log(0.2))


def test_a_surprise_shared_by_the_fleet_counts_for_less():
    raw = fleet(4)
    scale = learn_scale(raw, HOURS, OPTIONS)
    alone, together = raw.ratio.copy(), raw.ratio.copy()
    alone[0, 500] = 20.0
    together[:, 500] = 20.0
    lone = scored(scale, Channels(alone, raw.volume)).score[0, 500]
    shared = scored(scale, Channels(together, raw.volume)).score[0, 500]
    assert lone > shared + 1.0


def test_a_higher_raw_score_never_scores_lower():
    raw = fleet(5)
    scale = learn_scale(raw, HOURS, OPTIONS)
    others = count_others(scale, raw, 2)
    alive = np.ones(60, bool)
    higher = Channels(raw.ratio + 0.3, raw.volume)
    before = apply_scale(scale, raw, others, HOURS, alive, OPTIONS).score
    assert (apply_scale(scale, higher, others, HOURS, alive, OPTIONS).score >= before).all()
