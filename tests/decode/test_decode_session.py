"""The session: one preset, every format, state in and out."""

from __future__ import annotations

import numpy as np
import pytest
from requests_of_decode import EDGE, END_NS, Point, proto, session

from ebbtide.decode.preset import load_preset
from ebbtide.decode.session import Session
from ebbtide.errors import UsageError
from ebbtide.series import SECOND_NS


def counters(tick: int) -> bytes:
    return proto(
        [
            Point(
                value=1000 + at * tick,
                labels={**EDGE, "source.workload.name": f"w{at}x"},
                end_ns=END_NS + tick * 30 * SECOND_NS,
                kind="cumulative",
            )
            for at in range(20)
        ]
    )


def test_a_restart_loses_no_interval() -> None:
    first = session()
    first.decode("otlp_proto", counters(0))
    second = session(readings=first.export_readings().items())
    assert second.decode("otlp_proto", counters(1)).value.tolist() == list(range(20))


def test_readings_of_samples_serve_as_state() -> None:
    """The store keeps the reading of each sample: its last one per series is all that is needed."""
    first = session()
    batch = first.decode("otlp_proto", counters(0))
    rows = zip(batch.ref, batch.start_ns, batch.end_ns, batch.reading, strict=True)
    kept = [(batch.series[at].key, (int(start), int(end), float(reading))) for at, start, end, reading in rows]
    assert session(readings=kept).decode("otlp_proto", counters(1)).value.tolist() == list(range(20))


def test_without_state_a_restart_begins_with_baselines() -> None:
    assert np.isnan(session().decode("otlp_proto", counters(1)).value).all()


def test_an_unknown_format_is_refused_with_those_known() -> None:
    with pytest.raises(UsageError) as caught:
        session().decode("snmp", b"")
    assert "otlp_proto" in caught.value.hint


def test_a_session_passes_its_presets_notice_on() -> None:
    assert Session(load_preset("inspektor-gadget-top-tcp")).notice
    assert not session().notice


def test_a_reading_from_the_future_cannot_blind_a_series() -> None:
    one = session()
    one.decode("otlp_proto", counters(0))
    ahead = one.decode("otlp_proto", counters(1_000_000), not_after_ns=END_NS + 3600 * SECOND_NS)
    assert ahead.counts.rejected == {"in_future": 20} and len(ahead) == 0
    assert one.decode("otlp_proto", counters(1)).value.tolist() == list(range(20))
