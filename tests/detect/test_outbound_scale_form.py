import numpy as np
import pytest

from ebbtide.detect.outbound_scale_form import DayScale, from_json
from ebbtide.detect.outbound_shipped import shipped_scale
from ebbtide.errors import DataError


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"ratio": {}}', "7", '{"ratio": null, "volume": null}'])
def test_what_is_no_scale_is_refused(text):
    with pytest.raises(DataError, match="not a stored scale"):
        from_json(text)


def test_the_budget_of_a_threshold_is_the_one_it_was_made_for():
    scale = DayScale(shipped_scale(100), np.array([1.0, 3.0, 10.0]), np.array([-0.24, -1.23, -2.4]), 100, False)

    assert [scale.budget(scale.threshold(one)) for one in (1.0, 2.0, 10.0)] == pytest.approx([1.0, 2.0, 10.0])
    assert scale.budget(5.0) == pytest.approx(np.exp(-5.0))
