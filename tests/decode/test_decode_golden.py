"""Payloads of the sources themselves: what each preset makes of them is written down beside them.

To see what a change does to them, run
`EBBTIDE_WRITE_GOLDEN=1 pytest tests/decode/test_decode_golden.py`, then read the diff.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from ebbtide.decode.preset import load_preset, preset_names
from ebbtide.decode.session import Session
from ebbtide.series import Batch

GOLDEN = Path(__file__).parent / "golden"
PRESETS = preset_names()


def payload(preset: str) -> Path:
    (found,) = GOLDEN.joinpath(preset).glob("payload.*")
    return found


def described(batch: Batch) -> dict[str, object]:
    """A batch as JSON that a person can check."""
    samples = [
        {
            "metric": series.metric,
            "sender": series.sender and str(series.sender),
            "receiver": series.receiver and str(series.receiver),
            "source": "/".join(asdict(series.source).values()),
            "destination": "/".join(asdict(series.destination).values()),
            "image_version": series.image_version,
            "start_ns": int(batch.start_ns[row]),
            "end_ns": int(batch.end_ns[row]),
            "value": None if np.isnan(batch.value[row]) else float(batch.value[row]),
            "reading": None if np.isnan(batch.reading[row]) else float(batch.reading[row]),
        }
        for row, series in enumerate(batch.series[at] for at in batch.ref)
    ]
    reasons = {name: dict(getattr(batch.counts, name)) for name in ("rejected", "ignored", "clipped")}
    counts = {"accepted": batch.counts.accepted, **{name: found for name, found in reasons.items() if found}}
    return {"samples": samples, "heartbeats": [asdict(one) for one in batch.heartbeats], "counts": counts}


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_reads_its_sources_payload(name: str) -> None:
    session = Session(load_preset(name))
    with payload(name).open("rb") as file:
        found = [described(batch) for batch in session.read(file)]
    expected = GOLDEN / name / "expected.json"
    if os.environ.get("EBBTIDE_WRITE_GOLDEN"):
        expected.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(expected.read_text())


@pytest.mark.parametrize("name", PRESETS)
def test_every_golden_says_where_it_is_from(name: str) -> None:
    readme = GOLDEN.joinpath(name, "README.md").read_text()
    assert "commit" in readme or name in ("splunk", "table")
    assert bool(load_preset(name).notice) == ("not `verified`" in readme)
