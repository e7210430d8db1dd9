"""What each benign change does to the traffic, and that an unchanged fleet gives its own figures."""

import numpy as np
import pytest

from ebbtide.lab.bench import clean_scores, fixed
from ebbtide.lab.evaluate import realised
from ebbtide.lab.negatives import CHANGES, findings_of
from ebbtide.lab.traffic import Traffic


def named(start):
    return next(change for change in CHANGES if change.name.startswith(start))


def flat():
    return Traffic(("a",), np.ones((1, 91 * 48)), np.ones((1, 91 * 48)), 0, 1800)


def test_changes_by_hand():
    day = 48
    five = named("x5").apply(flat())
    assert five.sent[0, 70 * day] == five.received[0, 73 * day - 1] == 5.0 and five.sent[0, 73 * day] == 1.0
    assert named("sent doubles").apply(flat()).received.max() == 1.0
    assert named("growth 3 % a day, sent").apply(flat()).sent[0, 90 * day] == pytest.approx(1.03**30)
    assert np.isnan(named("12 h").apply(flat()).sent).sum() == 24
    job = named("new nightly").apply(flat())
    assert job.sent.sum() - 91 * day == pytest.approx(21 * 300e6)
    assert job.received.sum() - 91 * day == pytest.approx(0.03 * 21 * 300e6)


def test_later_moves_every_job():
    traffic = Traffic(("a",), np.arange(91.0 * 48)[None], np.zeros((1, 91 * 48)), 0, 1800)
    moved = named("all jobs").apply(traffic).sent[0]
    assert moved[70 * 48 + 4] == 70 * 48 and moved[70 * 48 - 1] == 70 * 48 - 1 and moved[-1] == 91 * 48 - 5


def test_unchanged_is_unchanged(bench):
    scaled = fixed(bench)
    clean = clean_scores(bench, scaled)
    ours = findings_of(bench, scaled[0], named("unchanged"))
    expected = [realised(clean.score > line, 24 * 31.0) for line in clean.thresholds]
    assert list(ours) == expected
