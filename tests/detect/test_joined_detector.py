import pytest
from pydantic import ValidationError

from ebbtide.detect.joined_detector import Joined, JoinedSettings


def test_the_parts_share_the_budget_and_nothing_is_left_over():
    settings = JoinedSettings(budget=20, findings_per_day=5, novelty_share=0.25, ratio_share=0.7)
    amount, new = settings.outbound(), settings.novelty()

    assert (amount.budget, new.budget) == (15.0, 5.0)
    assert (amount.findings_per_day, new.findings_per_day) == (3.75, 1.25)
    assert amount.ratio_share == 0.7
    assert amount.effective_budget(1000) + new.effective_budget(1000) == pytest.approx(5.0)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_no_part_is_left_without_a_budget(share):
    with pytest.raises(ValidationError):
        JoinedSettings(novelty_share=share)


def test_its_name_is_the_one_of_the_registry():
    assert Joined.name == "joined"
