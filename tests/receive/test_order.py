"""The guess at a body's time: right for what senders send, harmless for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests_of_decode import BODIES, END_NS, START_NS, STEADY, Point

from ebbtide.receive.order import time_of

FORMATS = ("otlp_proto", "otlp_json", "hec", "remote_write")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("value", [0, 5, 25, 6425, 25.5])
@pytest.mark.parametrize("start_ns", [0, START_NS])
def test_the_time_of_a_body_is_seen(name, value, start_ns):
    points = [Point(value=value, start_ns=start_ns), Point(value=value, end_ns=END_NS, start_ns=start_ns)]
    assert time_of(BODIES[name](points), name) == END_NS


@pytest.mark.parametrize("name", [*FORMATS, "csv"])
@settings(STEADY, max_examples=100)
@given(body=st.binary(max_size=200))
def test_any_bytes_have_a_time_or_none(name, body):
    found = time_of(body, name)
    assert found is None or 0 < found < 2**63


def test_a_body_without_points_has_none():
    for name in FORMATS:
        assert time_of(b"", name) is None
