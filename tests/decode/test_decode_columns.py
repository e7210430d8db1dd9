"""Tables: what a preset's `columns` say is what is read."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from ebbtide.decode.preset import Preset, load_preset, parse_preset
from ebbtide.decode.session import Session
from ebbtide.errors import ConfigError, DecodeError
from ebbtide.series import MINUTE_NS, SECOND_NS, Batch, Entity

NEW_YEAR_NS = 1_767_225_600 * SECOND_NS


def preset(**columns: object) -> Preset:
    return load_preset("table", {"columns": columns})


def csv(text: str, **columns: object) -> Batch:
    return Session(preset(**columns)).decode("csv", text.encode())


@pytest.mark.parametrize(
    ("unit", "cell"),
    [
        ("rfc3339", "2026-01-01T00:00:00Z"),
        ("rfc3339", "2026-01-01T01:00:00+01:00"),
        ("rfc3339", "2026-01-01 00:00:00"),
        ("s", "1767225600"),
        ("s", "1767225600.0"),
        ("ms", "1767225600000"),
        ("us", "1767225600000000"),
        ("m", "29453760"),
    ],
)
def test_times_in_any_unit(unit: str, cell: str) -> None:
    batch = csv(f"time,workload,tcp.bytes\n{cell},w,5\n", unit=unit)
    assert batch.end_ns.tolist() == [NEW_YEAR_NS] and batch.start_ns.tolist() == [NEW_YEAR_NS - MINUTE_NS]


def test_a_time_that_marks_the_start() -> None:
    batch = csv("time,workload,tcp.bytes\n1767225600,w,5\n", unit="s", marks="start")
    assert batch.start_ns.tolist() == [NEW_YEAR_NS] and batch.end_ns.tolist() == [NEW_YEAR_NS + MINUTE_NS]


def test_a_time_from_an_origin() -> None:
    batch = csv("minute,workload,tcp.bytes\n0,w,5\n3,w,6\n", time="minute", unit="m", origin="2026-01-01T00:00:00Z")
    assert batch.end_ns.tolist() == [NEW_YEAR_NS, NEW_YEAR_NS + 3 * MINUTE_NS]


@pytest.mark.parametrize("cell", ["", "soon", "-5", "1e400", "99999999999999999999"])
@pytest.mark.parametrize("unit", ["s", "rfc3339"])
def test_a_bad_time_costs_its_row(unit: str, cell: str) -> None:
    good = "1767225600" if unit == "s" else "2026-01-01T00:00:00Z"
    batch = csv(f"time,workload,tcp.bytes\n{cell},w,5\n{good},w,6\n", unit=unit)
    assert batch.value.tolist() == [6.0] and sum(batch.counts.rejected.values()) == 1


def test_rows_of_the_wrong_length_are_counted() -> None:
    batch = csv("time,workload,tcp.bytes\n1767225600,w\n1767225600,w,5\n1767225600,w,5,6\n", unit="s")
    assert len(batch) == 1 and batch.counts.rejected == {"bad_row": 2}


def test_empty_cells_are_no_points_and_words_are_rejected() -> None:
    batch = csv("time,workload,tcp.bytes,udp.bytes\n1767225600,w,,7\n1767225600,w,lots,\n1767225600,w,NaN,\n", unit="s")
    assert batch.value.tolist() == [7.0]
    assert batch.counts.rejected == {"malformed": 1, "not_finite": 1}


def test_cells_that_are_not_utf8_are_mended() -> None:
    body = b"time,workload,tcp.bytes\n1767225600,w\xff,5\n1767225600,v,6\xff\n"
    batch = Session(preset(unit="s")).decode("csv", body)
    assert batch.series[0].sender == Entity("default", "", "w\\xff", "")
    assert batch.counts.rejected == {"malformed": 1}


RECORDING = """
name: machines
interval: 1m
verified: true
metrics:
  - {name: eth1_fo, to: tcp.bytes, scale: 1000, untyped: delta}
  - {name: eth1_fi, to: tcp.bytes, scale: 1000, direction: receive, untyped: delta}
  - {name: total, to: tcp.packets, untyped: cumulative}
sender: {workload: machine}
columns:
  time: minute
  unit: m
  origin: 2026-01-01T00:00:00Z
  marks: start
  values: {eth1_fo: eth1_fo, eth1_fi: eth1_fi, total: total}
  constants: {region: lab}
  attributes: [machine]
"""


def recording(rows: int) -> pa.Table:
    return pa.table(
        {
            "machine": [f"m{at % 2}x" for at in range(rows)],
            "minute": pa.array([at // 2 for at in range(rows)], pa.int32()),
            "eth1_fo": pa.array([at / 1000 for at in range(rows)], pa.float32()),
            "eth1_fi": pa.array([0.5] * rows, pa.float64()),
            "total": pa.array([10 * at for at in range(rows)], pa.int64()),
            "label": [1] * rows,
        }
    )


def test_a_recording_of_machines() -> None:
    sink = io.BytesIO()
    pa.parquet.write_table(recording(6), sink)
    batch = Session(parse_preset(RECORDING)).decode("parquet", sink.getvalue())
    assert batch.counts.accepted == 18 and len(batch.series) == 6
    sent = [
        row for row, at in enumerate(batch.ref) if batch.series[at].metric == "tcp.bytes" and batch.series[at].sender
    ]
    np.testing.assert_allclose(batch.value[sent], range(6), rtol=1e-6)
    received = [series for series in batch.series if series.receiver]
    assert {series.receiver.workload for series in received if series.receiver} == {"m0x", "m1x"}
    assert received[0].attributes == '{"machine":"m0x","region":"lab"}'
    counters = [row for row, at in enumerate(batch.ref) if batch.series[at].metric == "tcp.packets"]
    np.testing.assert_array_equal(batch.value[counters], [np.nan, np.nan, 20, 20, 20, 20])


def test_tables_are_streamed_and_counters_go_on() -> None:
    sink = io.BytesIO()
    pa.parquet.write_table(recording(100_000), sink)
    sink.seek(0)
    batches = list(Session(parse_preset(RECORDING)).read(sink))
    assert len(batches) == 2
    assert int(np.isnan(Batch.concat(batches).value).sum()) == 2


def test_dictionary_columns_are_read_like_plain_ones() -> None:
    plain = pa.table({"time": [1767225600] * 3, "workload": ["w", None, "w"], "tcp.bytes": [5.0, 6.0, 7.0]})
    encoded = pa.table({name: plain[name].dictionary_encode() for name in plain.schema.names})
    found = []
    for one in (plain, encoded):
        sink = io.BytesIO()
        pa.parquet.write_table(one, sink)
        found.append(Session(preset(unit="s")).decode("parquet", sink.getvalue()))
    assert found[0].series == found[1].series and found[0].value.tolist() == found[1].value.tolist() == [5.0, 7.0]
    assert found[1].counts.ignored == {"no_entity": 1}


def test_timestamp_columns_need_no_unit() -> None:
    sink = io.BytesIO()
    times = pa.array([NEW_YEAR_NS // 1000, None], pa.timestamp("us", "UTC"))
    pa.parquet.write_table(pa.table({"time": times, "workload": ["w", "w"], "tcp.bytes": [5, 6]}), sink)
    batch = Session(preset()).decode("parquet", sink.getvalue())
    assert batch.end_ns.tolist() == [NEW_YEAR_NS] and batch.counts.rejected == {"no_time": 1}


@pytest.mark.parametrize("body", [b"workload,tcp.bytes\nw,5\n", b"time,time\n1,2\n", b""])
def test_a_table_that_cannot_be_read_raises_with_a_hint(body: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        Session(preset()).decode("csv", body)
    assert caught.value.hint


def test_a_preset_without_columns_reads_no_tables() -> None:
    with pytest.raises(ConfigError):
        Session(load_preset("obi")).decode("csv", b"time\n")
