"""Clues of a benign surge: by hand, and blind to what comes later."""

import numpy as np
import pytest

from ebbtide.lab.surge_clues import DAYS, Mix, is_usual_mix, is_usual_ratio, known_place, log_ratio

HOURS = 24


def steady(days: int = 16) -> Mix:
    """Three of four bytes to one place, one to another; a nightly job to a third at 02:00."""
    sent = np.zeros((3, days * HOURS), np.float32)
    sent[0], sent[1] = 3e6, 1e6
    sent[2, 2::HOURS] = 4e6
    return Mix(sent)


def test_the_usual_mix_overlaps_whatever_its_size():
    mix = steady()
    usual = mix.overlap(14, 15)
    larger = Mix(mix.sent.copy())
    larger.sent[:, 14 * HOURS :] *= 5

    assert usual[2] == pytest.approx(0.75)  # the job is spread over three hours, as it may come early or late
    assert np.delete(usual, 2).min() > 0.9
    np.testing.assert_allclose(larger.overlap(14, 15), usual)


def test_bytes_to_one_place_do_not():
    mix = steady()
    added = np.zeros((4, HOURS))
    added[3, 10] = 4e6  # as much again, to a place never met
    added[1, 12] = 4e6  # to a known one

    found = mix.overlap(15, 16, added)

    share = 3 / (3 + 1 + 4 / 24)  # of all hours; around noon the job has none
    assert found[10] == pytest.approx(0.5)
    assert found[12] == pytest.approx(3 / 8 + 1 / 4) and share < 0.75
    assert not is_usual_mix(found, mix.overlap(1, 15))[[10, 12]].any()
    assert is_usual_mix(found, mix.overlap(1, 15))[[9, 11, 13]].all()


def test_what_comes_later_does_not_matter():
    mix, later = steady(), steady()
    later.sent[:, 15 * HOURS :] = 7.0

    np.testing.assert_array_equal(mix.overlap(10, 15), later.overlap(10, 15))


def test_silence_is_no_usual_mix():
    quiet = Mix(np.zeros((2, DAYS * HOURS + HOURS), np.float32))

    assert np.isnan(quiet.overlap(DAYS, DAYS + 1)).all()
    assert not is_usual_mix(quiet.overlap(DAYS, DAYS + 1), quiet.overlap(0, DAYS)).any()
    assert known_place(quiet, DAYS, 0.5) == -1


def test_a_ratio_is_usual_if_most_hours_were_as_lopsided():
    floor, past = 1e6, log_ratio(np.full(100, 2e7), np.linspace(1e7, 3e7, 100), 1e6)

    assert is_usual_ratio(np.array([1e9, 1e9]), np.array([1e9, 1e7]), past, floor).tolist() == [True, False]
    assert not is_usual_ratio(np.array([1.0]), np.array([1.0]), past[:3], floor).any()
