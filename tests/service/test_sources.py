import pytest

from ebbtide.agenda import Pace
from ebbtide.health import SourceState
from ebbtide.series import HOUR_NS, MINUTE_NS
from ebbtide.service.sources import Sighting, Sightings, state_of

NOW = 100 * HOUR_NS


@pytest.mark.parametrize(
    ("newest", "changed", "first", "state"),
    [
        (NOW - MINUTE_NS, NOW, 0, SourceState.LIVE),
        (NOW - 2 * HOUR_NS, NOW, 0, SourceState.LATE),
        (NOW - HOUR_NS, NOW - 26 * MINUTE_NS, 0, SourceState.SILENT),
        (NOW - MINUTE_NS, NOW, NOW - 5 * MINUTE_NS, SourceState.NEW),
        (None, NOW - MINUTE_NS, None, SourceState.NEW),
        (None, NOW - 26 * MINUTE_NS, None, SourceState.SILENT),
    ],
)
def test_the_state_of_a_source(newest, changed, first, state):
    assert state_of(Sighting(newest, changed), first, NOW, Pace()) is state


def test_what_is_known_at_the_start_counts_as_just_heard_but_not_as_fresh():
    sightings = Sightings(["expected"], NOW)
    sightings.look({"prod": NOW - 9 * HOUR_NS}, NOW + 1)
    sightings.look({"prod": NOW - 9 * HOUR_NS}, NOW + MINUTE_NS)

    assert sightings.all()["prod"] == Sighting(NOW - 9 * HOUR_NS, NOW + 1)
    assert sightings.all()["expected"].newest_ns is None

    sightings.look({"prod": NOW + 5 * MINUTE_NS, "expected": 0}, NOW + 2 * MINUTE_NS)
    assert sightings.all()["prod"] == Sighting(NOW + 5 * MINUTE_NS, NOW + 2 * MINUTE_NS, 180.0, True)
    assert sightings.all()["expected"].is_fresh
