"""What every detector promises (`detect/detector.py`), held for all that are registered."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.baseline.moments import Moments, merge_rows
from ebbtide.detect.detector import Anomalies, Baseline
from ebbtide.detect.joined_detector import Joined
from ebbtide.detect.novelty_detector import Novelty
from ebbtide.detect.outbound_detector import Outbound
from ebbtide.registry import load_detectors
from ebbtide.series import SECOND_NS, Entity, Window

#: `outbound` is judged with what the store has learned (tests/test_outbound.py).
DETECTORS = {name: one for name, one in load_detectors().items() if not isinstance(one, Outbound | Novelty | Joined)}
METRICS = ("tcp.bytes", "udp.packets")
BUCKET_NS = 30 * SECOND_NS


@st.composite
def cases(draw):
    """A window and a baseline of some entities, with gaps, constants and entities that nothing is known of."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, buckets = draw(st.integers(0, 5)), draw(st.integers(1, 12))
    shape = (count, len(METRICS), buckets)
    points = rng.integers(0, 3, shape).astype(np.int32)
    total = np.where(points > 0, rng.integers(0, 400, shape), 0).astype(np.float64)
    rows = rng.integers(0, 6)
    values = rng.integers(0, 100, max(1, rows * count * len(METRICS))).astype(np.float64)
    place = rng.integers(0, max(1, count * len(METRICS)), len(values))
    ones = Moments(np.ones(len(values), np.int64), values, np.zeros(len(values)), values, values)
    moments = merge_rows(ones, place, count * len(METRICS)) if count else Moments.none((0,))
    columns = (moments.count, moments.mean, moments.m2, moments.minimum, moments.maximum)
    baseline = Baseline(Moments(*(column.reshape(count, len(METRICS)) for column in columns)), 0, 1)
    names = tuple(Entity("c", "n", "w", f"p{at}") for at in range(count))
    return Window(names, METRICS, 0, BUCKET_NS, total, points), baseline


def picked(window: Window, baseline: Baseline, rows: list[int]) -> tuple[Window, Baseline]:
    at = np.array(rows, np.int64)
    names = tuple(window.entities[row] for row in rows)
    part = Window(names, window.metrics, window.start_ns, window.bucket_ns, window.total[at], window.points[at])
    return part, Baseline(baseline.moments.take(at), baseline.from_ns, baseline.to_ns)


def told(found: Anomalies, window: Window) -> dict[Entity, tuple]:
    """All a detector says of each entity."""
    rows = [found.entity.tolist(), *(c.tolist() for c in (found.metric, found.bucket_ns, found.value, found.line))]
    hits = list(zip(*rows, strict=True))
    return {
        entity: (
            bool(found.fired[row]),
            int(found.count[row]),
            found.scored[row].tolist(),
            sorted((why, mask[row].tolist()) for why, mask in found.unscored.items()),
            [hit[1:] for hit in hits if hit[0] == row],
        )
        for row, entity in enumerate(window.entities)
    }


@pytest.mark.parametrize("name", DETECTORS)
class TestEveryDetector:
    @settings(max_examples=40, deadline=None)
    @given(case=cases(), seed=st.integers(0, 99))
    def test_an_entity_is_judged_alike_in_any_company_and_order(self, name, case, seed):
        window, baseline = case
        detector = DETECTORS[name]
        options = detector.options()
        order = np.random.default_rng(seed).permutation(len(window.entities)).tolist()

        whole = told(detector.score(window, baseline, options), window)
        shuffled = picked(window, baseline, order)
        assert told(detector.score(*shuffled, options), shuffled[0]) == whole
        for row, entity in enumerate(window.entities):
            alone = picked(window, baseline, [row])
            assert told(detector.score(*alone, options), alone[0])[entity] == whole[entity]

    @settings(max_examples=20, deadline=None)
    @given(case=cases())
    def test_it_changes_nothing_and_says_the_same_again(self, name, case):
        window, baseline = case
        before = copy.deepcopy((window.total, window.points, baseline.moments))
        detector = DETECTORS[name]

        first, second = (told(detector.score(window, baseline, detector.options()), window) for _ in range(2))

        assert first == second
        assert (window.total == before[0]).all() and (window.points == before[1]).all()
        assert (baseline.moments.mean == before[2].mean).all()

    @settings(max_examples=40, deadline=None)
    @given(case=cases())
    def test_its_result_has_the_promised_shape(self, name, case):
        window, baseline = case
        detector = DETECTORS[name]
        found = detector.score(window, baseline, detector.options())
        rows = len(found.entity)

        columns = (found.metric, found.bucket_ns, found.value, found.mean, found.stdev, found.line)
        assert {len(column) for column in columns} == {rows}
        assert len(found.fired) == len(found.count) == len(window.entities)
        places = list(zip(found.entity.tolist(), found.bucket_ns.tolist(), found.metric.tolist(), strict=True))
        assert places == sorted(places)
        assert not np.isnan(found.stdev).any()
        assert found.scored.shape == found.lines.shape == window.total.shape[:2]
        sent = (window.points > 0).any(axis=2)
        said = sum((mask.astype(int) for mask in found.unscored.values()), found.scored.astype(int))
        assert (said == sent).all()  # whatever was sent is scored, or one reason says why not

    def test_nothing_at_all_is_legal(self, name):
        empty = Window((), METRICS, 0, BUCKET_NS, np.zeros((0, 2, 4)), np.zeros((0, 2, 4), np.int32))
        found = DETECTORS[name].score(empty, Baseline(Moments.none((0, 2)), 0, 1), DETECTORS[name].options())

        assert len(found.fired) == 0
        assert len(found.entity) == 0

    def test_unknown_options_are_refused(self, name):
        with pytest.raises(ValueError, match="nosuch"):
            DETECTORS[name].options.model_validate({"nosuch": 1})
