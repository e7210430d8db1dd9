import dataclasses

import numpy as np
import pytest

from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.detect.outbound_clues import CLUES, ClueOptions
from ebbtide.detect.outbound_scale_form import DayScale, from_json, to_json
from ebbtide.detect.outbound_shipped import shipped_scale
from ebbtide.errors import DataError


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"ratio": {}}', "7", '{"ratio": null, "volume": null}'])
def test_what_is_no_scale_is_refused(text):
    with pytest.raises(DataError, match="not a stored scale"):
        from_json(text)


def test_own_record_models_go_and_come_back_and_others_of_another_shape_are_refused():
    shipped = DayScale(shipped_scale(100), np.array([1.0]), np.array([-0.24]), 100, True)
    models = dataclasses.replace(shipped_models(), rate=shipped_models().rate + 0.5)
    own = dataclasses.replace(shipped, own_models=models)

    np.testing.assert_array_equal(from_json(to_json(own)).models.rate, models.rate)
    np.testing.assert_array_equal(from_json(to_json(shipped)).models.rate, shipped_models().rate)
    cut = dataclasses.replace(own, own_models=dataclasses.replace(models, rate=models.rate[:3]))
    with pytest.raises(DataError, match="another shape: rate"):
        from_json(to_json(cut))


def test_the_budget_of_a_threshold_is_the_one_it_was_made_for():
    scale = DayScale(shipped_scale(100), np.array([1.0, 3.0, 10.0]), np.array([-0.24, -1.23, -2.4]), 100, False)

    assert [scale.budget(scale.threshold(one)) for one in (1.0, 2.0, 10.0)] == pytest.approx([1.0, 2.0, 10.0])
    assert scale.budget(5.0) == pytest.approx(np.exp(-5.0))


def test_other_clues_have_thresholds_between_those_learned_with_and_without():
    plain, lines = np.array([-0.2, -2.4]), np.array([-2.2, -4.4])
    scale = DayScale(shipped_scale(100), np.array([1.0, 10.0]), lines, 100, True, plain)

    assert from_json(to_json(scale)).under(CLUES).thresholds.tolist() == lines.tolist()
    assert scale.under(ClueOptions(known_places=0, usual_mix=0)).thresholds.tolist() == plain.tolist()
    assert scale.under(ClueOptions(known_places=0)).thresholds == pytest.approx([-1.2, -3.4])
    assert scale.under(ClueOptions(known_places=9)).thresholds.tolist() == lines.tolist()


def test_only_the_scale_that_ships_is_shifted():
    own, shipped = (DayScale(shipped_scale(9), np.ones(1), np.ones(1), 9, is_own) for is_own in (True, False))

    assert (own.shift(CLUES), shipped.shift(CLUES)) == (0.0, 2.5)
    assert shipped.shift(ClueOptions(known_places=0, usual_mix=0)) == 0.0
