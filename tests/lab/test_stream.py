"""A day scored again from its state gives what the long run gave."""

import numpy as np

from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.lab.stream import close_days, gather_states, hourly_peaks, learn_models, rescore, score_history
from ebbtide.lab.traffic import Traffic

OPTIONS = OutboundOptions()


def traffic(entities=5, days=24, seed=1):
    random = np.random.default_rng(seed)
    sent = random.exponential(4e6, (entities, days * 288))
    sent[2, 3000:3100] = np.nan
    return Traffic(tuple(map(str, range(entities))), sent, sent[::-1].copy(), 0, 300)


def test_rescoring_without_an_attack_changes_nothing():
    clean = traffic()
    history = close_days(hourly_peaks(clean.sent, clean.received, 300, OPTIONS), OPTIONS)
    models = shipped_models()
    long_run = score_history(history, models, range(1, 24), OPTIONS)
    entities, days = np.array([2, 0, 4]), np.array([12, 9, 12])
    sent, received = clean.cut(entities, (days - 1) * 288, 4 * 288)
    again = rescore(clean, sent, received, gather_states(history, entities, days), models, OPTIONS)
    for row, (entity, day) in enumerate(zip(entities, days, strict=True)):
        hours = slice(day * 24, (day + 3) * 24)
        np.testing.assert_array_equal(again.ratio[row], long_run.ratio[entity, hours])
        np.testing.assert_array_equal(again.volume[row], long_run.volume[entity, hours])


def test_kept_maxima_are_those_of_the_days():
    clean = traffic(3, 5)
    history = close_days(hourly_peaks(clean.sent, clean.received, 300, OPTIONS), OPTIONS)
    assert history.kept.shape == history.seen.shape == (3, 7, 5)
    np.testing.assert_array_equal(history.kept[:, 0], history.seen[:, 0])  # nothing is bounded in the first days


def test_models_learn_from_their_days_only():
    clean = traffic(12, 20)
    options = OPTIONS
    history = close_days(hourly_peaks(clean.sent, clean.received, 300, options), options)
    changed = clean.sent.copy()
    changed[:, 18 * 288 :] *= 50
    later = close_days(hourly_peaks(changed, clean.received, 300, options), options)
    np.testing.assert_array_equal(learn_models(history, range(8, 18)).rate, learn_models(later, range(8, 18)).rate)
