"""The defaults say what the documentation says."""

from ebbtide.baseline.trailing_statistics import Statistic
from ebbtide.detect.outbound_options import OutboundOptions


def test_defaults():
    options = OutboundOptions()
    assert options.budget == 10.0 and options.floor_per_hour == 10e6
    assert options.history_days[0] == 30  # the bounded influence and the usual hour's record look at this window
    assert dict(options.ratio_weights)[Statistic.RATIO_1H] == 1.0
    assert {
        statistic for weights in (options.ratio_weights, options.volume_weights) for statistic, _ in weights
    } == set(Statistic)
