import pytest

from ebbtide.budget import Budget, with_budget
from ebbtide.detect.catalogue import load
from ebbtide.registry import DETECTORS

CATALOGUE = load(DETECTORS)


def options(running, budget, id):
    return with_budget(CATALOGUE, running, budget).get(id).options


def test_what_is_not_set_is_the_detections_own():
    assert with_budget(CATALOGUE, CATALOGUE.by_default(), Budget()).detections == CATALOGUE.detections


def test_the_joined_detection_has_all_of_it():
    set_ = options(("joined",), Budget(20, 5, 0.3, 2), "joined")

    assert (set_["budget"], set_["findings_per_day"], set_["novelty_share"]) == (20, 5, 0.3)
    assert set_["findings_per_entity_day"] == 2


def test_parts_that_run_alone_share_it_and_a_single_one_has_it_all():
    both = [options(("outbound", "novelty"), Budget(20, 5, 0.3), id) for id in ("outbound", "novelty")]

    assert [one["budget"] for one in both] == pytest.approx([14, 6])
    assert [one["findings_per_day"] for one in both] == pytest.approx([3.5, 1.5])
    assert options(("outbound",), Budget(20), "outbound")["budget"] == 20


def test_other_detections_know_no_budget():
    other = "outbound_network_activity_from_process_corrected"

    assert options((other, "joined"), Budget(20), other) == CATALOGUE.get(other).options
