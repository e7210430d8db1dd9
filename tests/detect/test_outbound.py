"""Scores of the detector: monotone, blind to order and to the future, and the same for one instant as for a month."""

import numpy as np
import pytest

from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.baseline.trailing_inbound import inbound_volume
from ebbtide.baseline.trailing_statistics import Statistic, current_statistics
from ebbtide.detect.outbound import day_records, hours_of_day, score_day, squash
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_state import day_values, open_day, run_cusum
from ebbtide.lab.stream import close_days, hourly_peaks, score_history

OPTIONS = OutboundOptions()
MODELS = shipped_models()
DAYS, STEP_S, PER_DAY = 20, 3600 // 4, 96


def traffic(seed=1, entities=4):
    random = np.random.default_rng(seed)
    level = random.exponential(5e6, (entities, 1))
    sent = random.exponential(1.0, (entities, DAYS * PER_DAY)) * level
    received = random.exponential(1.0, sent.shape) * level
    sent[0, 5 * PER_DAY : 5 * PER_DAY + 30] = np.nan
    return sent, received


def scores(sent, received):
    history = close_days(hourly_peaks(sent, received, STEP_S, OPTIONS), OPTIONS)
    return score_history(history, MODELS, range(1, DAYS), OPTIONS)


def test_changing_data_after_t_changes_no_score_up_to_t():
    sent, received = traffic()
    before = scores(sent, received)
    at = 15 * 24 + 7
    changed = sent.copy()
    changed[:, at * 4 :] *= 100.0
    after = scores(changed, received)
    np.testing.assert_array_equal(before.ratio[:, :at], after.ratio[:, :at])
    np.testing.assert_array_equal(before.volume[:, :at], after.volume[:, :at])
    assert (after.ratio[:, at:] > before.ratio[:, at:]).any()


def test_order_and_shards_of_entities_do_not_matter():
    sent, received = traffic(2, 6)
    whole = scores(sent, received)
    for part in (np.array([5, 2]), np.array([0, 1, 3, 4])):
        alone = scores(sent[part], received[part])
        np.testing.assert_array_equal(whole.ratio[part], alone.ratio)
        np.testing.assert_array_equal(whole.volume[part], alone.volume)


def test_more_sent_bytes_on_a_day_never_lower_its_scores():
    sent, received = traffic(3)
    before = scores(sent, received)
    day = 18
    more = sent.copy()
    more[:, day * PER_DAY :] += np.random.default_rng(4).exponential(5e6, (4, 2 * PER_DAY))
    after = scores(more, received)
    hours = slice(day * 24, (day + 1) * 24)
    assert (after.ratio[:, hours] >= before.ratio[:, hours] - 1e-9).all()
    assert (after.volume[:, hours] >= before.volume[:, hours] - 1e-9).all()


def test_a_single_tick_gives_what_the_stream_gives():
    """At an hour's last step, with windows that only grow, the hour's maximum is the instant's value."""
    sent, received = traffic(5)
    day, hour = 16, 9
    sent[:, day * PER_DAY :] = np.linspace(1, 50, 4 * PER_DAY) * 1e6
    received[:, day * PER_DAY :] = 0.0
    history = close_days(hourly_peaks(sent, received, STEP_S, OPTIONS), OPTIONS)
    streamed = score_history(history, MODELS, range(day, day + 1), OPTIONS)

    state = history.states[day]
    now = day * PER_DAY + (hour + 1) * 4
    window = slice(now - PER_DAY - 24, now)
    current = current_statistics(sent[:, window], received[:, window], STEP_S, OPTIONS.floor_per_hour)
    reference = open_day(state, OPTIONS)
    ratio = hourly_peaks(sent, received, STEP_S, OPTIONS).day(day).ratio[:, : hour + 1]
    cusum = run_cusum(state, reference, ratio, OPTIONS)[:, -1:]
    inbound = inbound_volume(current.sent[:, 0], current.received[:, 0], OPTIONS.floor_per_hour)
    values = day_values(current.peaks, inbound, np.array([hour]), cusum, reference)
    tick = score_day(values, day_records(state, MODELS, OPTIONS), OPTIONS)
    place = day * 24 + hour
    np.testing.assert_array_equal(tick.channels.ratio[:, 0], streamed.ratio[:, place])
    np.testing.assert_array_equal(tick.channels.volume[:, 0], streamed.volume[:, place])


def test_a_burst_stands_out():
    sent, received = traffic(6)
    quiet = scores(sent, received)
    sent[1, 19 * PER_DAY + 40 : 19 * PER_DAY + 44] += 5e9
    loud = scores(sent, received)
    assert loud.ratio[1, 19 * 24 + 10] > quiet.ratio[1].max() + 3


def test_missing_statistics_add_nothing():
    sent, received = traffic(7)
    history = close_days(hourly_peaks(sent, np.full_like(received, np.nan), STEP_S, OPTIONS), OPTIONS)
    raw = score_history(history, MODELS, range(15, DAYS), OPTIONS)
    with_usual_hour_only = raw.ratio[raw.ratio > 0]
    assert np.isfinite(raw.ratio).all() and np.isfinite(raw.volume).all()
    assert with_usual_hour_only.size
    assert all(np.isnan(today.statistics[:, Statistic.RATIO_1H]).all() for today in history.values)


def test_squash_is_continuous_and_grows():
    grid = np.linspace(0, 50, 1001)
    assert (np.diff(squash(grid, 4.0)) > 0).all()
    assert squash(np.array([4.0 + 1e-9]), 4.0)[0] == pytest.approx(4.0)


def test_hours_are_utc():
    assert hours_of_day(np.array([0, 3599, 3600, 86_400 * 3 + 7200])).tolist() == [0, 0, 1, 2]


def test_a_surge_of_requests_is_less_surprising_in_the_ratio_channel():
    sent, received = traffic(8)
    day = 18 * PER_DAY
    for side in (sent, received):
        side[:, day:] *= 8.0
    history = close_days(hourly_peaks(sent, received, STEP_S, OPTIONS), OPTIONS)
    plain = OutboundOptions(inbound_explains=False)
    explained = score_history(history, MODELS, range(18, 19), OPTIONS)
    unexplained = score_history(history, MODELS, range(18, 19), plain)
    assert explained.ratio.sum() < unexplained.ratio.sum()
    np.testing.assert_array_equal(explained.volume, unexplained.volume)
