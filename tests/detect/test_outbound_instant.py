import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.baseline.cusum import Usual
from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.baseline.trailing_statistics import HOURS, STATISTICS
from ebbtide.detect.outbound import Channels, day_records
from ebbtide.detect.outbound_instant import measure, show
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_shipped import shipped_scale
from ebbtide.detect.outbound_state import DayReference, OutboundState

OPTIONS = OutboundOptions()


def scored(sent: float, received: float, seed: int = 0) -> float:
    rng = np.random.default_rng(seed)
    state = OutboundState.empty(1, OPTIONS)
    state.maxima[..., -40:] = rng.normal(0, 0.3, (1, STATISTICS, 40)) + np.array([0, 0, 17, 19, 20, 0, 1.2])[:, None]
    one = np.full((1, HOURS), 17.0, np.float32)
    usual = Usual(np.zeros(1, np.float32), np.ones(1, np.float32))
    instant = show(
        np.full((1, 3), sent), np.full((1, 3), received), np.array([10e6]), 12, np.zeros(1, np.float32),
        DayReference(one, one - 2, usual), day_records(state, shipped_models(), OPTIONS), OPTIONS,
    )  # fmt: skip
    nobody = Channels(np.zeros((1, 1)), np.zeros((1, 1)))
    found = measure(instant.raw.channels, nobody, 12, np.array([True]), shipped_scale(100), OPTIONS)
    return float(found.score[0, 0])


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1e10), st.floats(0, 1e10), st.floats(0, 1e10), st.integers(0, 5))
def test_more_sent_is_never_less_surprising(sent, more, received, seed):
    assert scored(sent + more, received, seed) >= scored(sent, received, seed) - 1e-9


def test_what_is_not_known_is_no_surprise():
    assert scored(np.nan, np.nan) <= scored(0.0, 0.0)
