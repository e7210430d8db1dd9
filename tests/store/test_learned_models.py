"""A fleet large and old enough gets record models of its own, which score its days from then on."""

import numpy as np
import pytest

from ebbtide.baseline.records_fit import MATURE_CUTS
from ebbtide.baseline.records_refit import refit
from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_scale_form import to_json
from ebbtide.lab.stream import close_days, hourly_peaks, score_history
from ebbtide.series import DAY_NS
from ebbtide.store import learned_days
from ebbtide.store.learned_days import CALIBRATION_DAYS, LEAST_SCORE
from ebbtide.store.learned_models import daily_maxima
from learned_traffic import FLEET, START_NS, STEP_S, learned, traffic

DAYS = CALIBRATION_DAYS + 4
FIRST_DAY = START_NS // DAY_NS
OPTIONS = OutboundOptions()


@pytest.fixture(scope="module")
def store():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learned_days, "LEAST_ENTITY_DAYS", len(FLEET) * CALIBRATION_DAYS)
        with learned(DAYS) as store:
            yield store


@pytest.fixture(scope="module")
def history():
    sent, received = traffic(DAYS)
    return close_days(hourly_peaks(sent, received, STEP_S, OPTIONS), OPTIONS)


def test_maxima_are_those_of_the_stream_but_for_masked_days(store, history):
    learning = store.outbound.learned
    pairs = learning.pairs(FIRST_DAY + DAYS - 1)
    kept, seen = daily_maxima(store._con, pairs, FIRST_DAY, FIRST_DAY + DAYS)
    np.testing.assert_array_equal(kept, history.kept)
    np.testing.assert_array_equal(seen, history.seen)

    store.mask(FLEET[1], START_NS + 3 * DAY_NS, START_NS + 4 * DAY_NS, "attack")
    masked, _ = daily_maxima(store._con, pairs, FIRST_DAY, FIRST_DAY + DAYS)
    store.unmask("attack")
    assert np.isnan(masked[1, :, 3]).all() and not np.isnan(masked[1, :, 4]).all()
    np.testing.assert_array_equal(masked[0], kept[0])


def test_the_first_own_scale_has_models_learned_from_the_days_before_it(store, history):
    day = CALIBRATION_DAYS
    before, own = (store.outbound.learned.scale(FIRST_DAY + at) for at in (day - 1, day))

    assert not before.is_own and before.own_models is None
    assert own.is_own
    gap = np.full((len(FLEET), 7, max(MATURE_CUTS)), np.nan, np.float32)
    kept, seen = (
        np.concatenate([gap, one[..., :day]], axis=-1).astype(np.float32) for one in (history.kept, history.seen)
    )
    expected = refit(kept, seen, range(max(MATURE_CUTS), max(MATURE_CUTS) + day), shipped_models())
    np.testing.assert_array_equal(own.models.rate, expected.rate)
    np.testing.assert_array_equal(own.models.excess, expected.excess)


def test_days_are_scored_with_the_models_of_their_scale(store, history):
    learning = store.outbound.learned
    changed = [
        day
        for day in range(CALIBRATION_DAYS, DAYS)
        if (learning.scale(FIRST_DAY + day).models.rate != shipped_models().rate).any()
    ]
    for day in changed:
        models = learning.scale(FIRST_DAY + day).models
        expected = score_history(history, models, range(day, day + 1), OPTIONS).at(slice(day * 24, day * 24 + 24))
        _, found = learning.scores((FIRST_DAY + day) * 24, (FIRST_DAY + day + 1) * 24)
        shown = np.maximum(expected.ratio, expected.volume) >= LEAST_SCORE
        rows = shown.any(axis=1)
        np.testing.assert_allclose(found.ratio, np.where(shown, expected.ratio, 0)[rows], rtol=1e-6)
    assert changed


def test_models_are_learned_anew_each_week_and_closing_days_again_gives_the_same(store):
    learning = store.outbound.learned
    days = range(FIRST_DAY + CALIBRATION_DAYS, FIRST_DAY + DAYS + 1)
    before = [learning.scale(day) for day in days]
    with pytest.MonkeyPatch.context() as patch, store.transaction():
        patch.setattr(learned_days, "LEAST_ENTITY_DAYS", len(FLEET) * CALIBRATION_DAYS)
        learned_for = []
        original = learned_days.learn_models
        patch.setattr(
            learned_days, "learn_models", lambda *args: (learned_for.append(args[2].stop), original(*args))[1]
        )
        learning.forget_from(days.start - 1)
        for day in learning.to_close((FIRST_DAY + DAYS) * 24):
            learning.close(day)
    after = [learning.scale(day) for day in days]

    assert [to_json(one) for one in after] == [to_json(one) for one in before]
    assert learned_for == [day for day in days if day == days.start or day % learned_days.REFIT_DAYS == 0]
