"""Settings refuse what cannot work."""

from __future__ import annotations

import pytest

from ebbtide.errors import UsageError
from ebbtide.meter.export import Target
from ebbtide.meter.settings import MeterSettings

TARGET = Target("http://localhost:4318")


@pytest.mark.parametrize("change", [{"interval_s": 0.5}, {"interval_s": 4000.0}, {"map_bytes": 1}, {"buffer_bytes": 1}])
def test_values_out_of_range_are_refused(change):
    with pytest.raises(UsageError):
        MeterSettings(TARGET, **change)


def test_the_defaults_are_those_of_the_documentation():
    settings = MeterSettings(TARGET)
    assert (settings.interval_s, settings.map_bytes, settings.buffer_bytes) == (10.0, 64 << 20, 32 << 20)
    assert (settings.limits.per_process, settings.limits.total, settings.is_loopback_counted) == (50, 20_000, False)
