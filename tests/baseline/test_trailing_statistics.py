"""The statistics of trailing sums: by hand, against a loop, and independent of how finely traffic was sampled."""

import numpy as np
import pytest

from ebbtide.baseline.trailing_statistics import (
    PEAKS,
    Statistic,
    current_statistics,
    trailing_statistics,
    usual_hour,
)

MB = 1e6


def test_by_hand():
    sent, received = np.full((1, 288), 100 * MB / 12), np.full((1, 288), 10 * MB / 12)
    peaks = trailing_statistics(sent, received, 300, 10 * MB).peaks[0, :, -1]
    assert peaks[Statistic.RATIO_1H] == pytest.approx(np.log(110 / 20), rel=1e-6)
    assert peaks[Statistic.RATIO_6H] == pytest.approx(np.log(660 / 120), rel=1e-6)
    assert peaks[Statistic.VOLUME_24H] == pytest.approx(np.log(2640 * MB), rel=1e-6)


@pytest.mark.parametrize("step_s", [10, 30, 60])
def test_sampling_interval_does_not_matter(step_s):
    random = np.random.default_rng(1)
    fine = random.integers(0, 10**6, (2, 8 * 360)).astype(float)
    coarse = fine.reshape(2, -1, step_s // 10).sum(axis=2)
    reference = trailing_statistics(fine, fine[::-1].copy(), 10, 10 * MB).peaks[..., step_s // 10 - 1 :: step_s // 10]
    ours = trailing_statistics(coarse, coarse[::-1].copy(), step_s, 10 * MB).peaks
    hour = 3600 // step_s  # before a first whole hour the windows are filled, and need not agree
    np.testing.assert_array_equal(ours[:, [0, 2], hour:], reference[:, [0, 2], hour:])


def test_dropping_zero_samples_is_a_gap_not_a_verdict():
    sent = np.zeros((1, 288))
    sent[0, 100] = 50 * MB
    dropped = sent.copy()
    dropped[0, 101:104] = np.nan  # fewer than half of the hour
    whole = trailing_statistics(sent, np.zeros((1, 288)), 300, 10 * MB).peaks[0, Statistic.VOLUME_1H]
    gaps = trailing_statistics(dropped, np.zeros((1, 288)), 300, 10 * MB).peaks[0, Statistic.VOLUME_1H]
    assert np.nanmax(gaps) - np.nanmax(whole) < np.log(12 / 9)


def test_more_sent_bytes_never_lower_a_statistic():
    random = np.random.default_rng(2)
    sent, received = random.exponential(MB, (2, 600)), random.exponential(MB, (2, 600))
    more = sent + random.exponential(MB, sent.shape) * (random.random(sent.shape) < 0.2)
    before = trailing_statistics(sent, received, 300, 10 * MB).peaks
    after = trailing_statistics(more, received, 300, 10 * MB).peaks
    assert np.all((after >= before) | np.isnan(before))


@pytest.mark.parametrize("steps", [3, 12, 100, 500])
def test_one_decision_gives_what_the_series_ends_with(steps):
    random = np.random.default_rng(5)
    sent, received = random.exponential(MB, (3, steps)), random.exponential(MB, (3, steps))
    sent[random.random(sent.shape) < 0.3] = np.nan
    series, now = (make(sent, received, 300, 10 * MB) for make in (trailing_statistics, current_statistics))
    np.testing.assert_array_equal(now.peaks[..., 0], series.peaks[..., -1])
    np.testing.assert_array_equal(now.sent[..., 0], series.sent[..., -1])


def test_without_received_data_the_volumes_stand():
    sent = np.ones((1, 12))
    peaks = trailing_statistics(sent, np.full((1, 12), np.nan), 300, 10 * MB).peaks[0, :, -1]
    assert np.isnan(peaks[: Statistic.VOLUME_1H]).all()
    assert np.isfinite(peaks[Statistic.VOLUME_1H])


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="must agree"):
        trailing_statistics(np.zeros((1, 3)), np.zeros((1, 4)), 300, 1.0)
    assert trailing_statistics(np.zeros((0, 3)), np.zeros((0, 3)), 300, 1.0).peaks.shape == (0, PEAKS, 3)


def test_usual_hour_against_a_loop():
    random = np.random.default_rng(3)
    history = random.normal(size=(4, 14, 24)).astype(np.float32)
    history[random.random(history.shape) < 0.8] = np.nan
    ours = usual_hour(history, minimum=3)
    for entity in range(4):
        for hour in range(24):
            days = [[day[(hour + off) % 24] for off in (-1, 0, 1)] for day in history[entity]]
            known = [max(value for value in day if not np.isnan(value)) for day in days if not np.isnan(day).all()]
            expected = max(known) if len(known) >= 3 else np.nan
            np.testing.assert_equal(ours[entity, hour], np.float32(expected))
