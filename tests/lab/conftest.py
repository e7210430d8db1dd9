"""A small simulated fleet, learned once for all tests of the laboratory that need one."""

import numpy as np
import pytest

from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.lab.bench import OutboundBench
from ebbtide.lab.traffic import Traffic


@pytest.fixture(scope="session")
def bench() -> OutboundBench:
    """24 entities, 91 days, half-hour steps."""
    random = np.random.default_rng(1)
    level = random.exponential(3e6, (24, 1))
    sent = random.lognormal(0.0, 1.0, (24, 91 * 48)) * level
    received = sent * random.lognormal(0.0, 0.5, sent.shape)
    traffic = Traffic(tuple(map(str, range(24))), sent, received, 0, 1800)
    return OutboundBench.run(traffic, OutboundOptions())
