"""Making the excerpt: what goes in comes out, and what would be changed is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ebbtide.errors import DataError
from ebbtide.recording.make_excerpt import make_excerpt
from ebbtide.recording.recording import COLUMNS

EVENTS = """machine,test_start,minute_start,minute_end,dims_1based,dims_named,any_network,any_network_out
9-1,1,7,8,"1,2",cpu_r eth1_fo,True,True
9-1,0,6,7,1,cpu_r,False,False
"""


def write_source(folder, *, minutes=10, train=5, value=None):
    parts = np.random.default_rng(1).integers(0, 1_000_001, (len(COLUMNS), minutes))
    columns = {name: pa.array((parts[i] / 1e6).astype(np.float32)) for i, name in enumerate(COLUMNS)}
    if value is not None:
        columns["eth1_fo"] = pa.array(np.full(minutes, value, np.float32))
    table = pa.table(
        {
            "machine": pa.array(["9-1"] * minutes).dictionary_encode(),
            "minute": pa.array(range(minutes), pa.int32()),
            **columns,
            "split": pa.array(["train"] * train + ["test"] * (minutes - train)),
        }
    )
    pq.write_table(table.take(pa.array(range(minutes))[::-1]), folder / "smd_network.parquet")
    (folder / "events.csv").write_text(EVENTS)
    return parts


def test_every_value_comes_back_as_its_millionths(tmp_path):
    parts = write_source(tmp_path)
    make_excerpt(tmp_path, tmp_path)
    table = pq.read_table(tmp_path / "machine-9-1.parquet")
    assert table.column_names == ["minute", *COLUMNS]
    assert table["minute"].to_pylist() == list(range(10))
    for i, name in enumerate(COLUMNS):
        assert table[name].to_pylist() == parts[i].tolist()


def test_events_keep_what_is_needed_in_order(tmp_path):
    write_source(tmp_path)
    make_excerpt(tmp_path, tmp_path)
    assert (tmp_path / "events.csv").read_text().splitlines() == [
        "machine,minute_start,minute_end,dims_named,any_network_out",
        "machine-9-1,6,7,cpu_r,False",
        "machine-9-1,7,8,cpu_r eth1_fo,True",
    ]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [({"value": 0.12345678}, "no whole millionths"), ({"train": 4}, "half")],
)
def test_what_would_be_changed_is_refused(tmp_path, source, complaint):
    write_source(tmp_path, **source)
    with pytest.raises(DataError, match=complaint):
        make_excerpt(tmp_path, tmp_path)
