"""The reader on a tiny file of the same form; the real one only where it is."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from ebbtide.errors import NoDataError
from ebbtide.lab import bitbrains
from ebbtide.lab.bitbrains import START_S, data_directory, read_bitbrains


def write(directory: Path, ts, vm, tx):
    path = directory / bitbrains.FILE
    path.parent.mkdir(parents=True)
    table = pa.table({"vm": pa.array(vm, pa.int16()), "ts": ts, "tx_kbps": tx, "rx_kbps": [value / 2 for value in tx]})
    parquet.write_table(table, path)


def test_duplicates_are_dropped_and_a_cell_has_the_mean_of_its_readings(tmp_path, monkeypatch):
    monkeypatch.setattr(bitbrains, "LEAST_SHARE", 0.0)
    write(tmp_path, [START_S, START_S, START_S + 60, START_S + 300, START_S - 1], [7] * 5, [1.0, 9.0, 3.0, 5.0, 8.0])
    traffic = read_bitbrains(tmp_path)
    np.testing.assert_array_equal(traffic.sent[0, :3], [2.0 * 300_000, 5.0 * 300_000, np.nan])
    assert traffic.received[0, 1] == 2.5 * 300_000
    assert traffic.names == ("vm-7",) and traffic.days == 91


def test_entities_with_too_few_samples_are_left_out(tmp_path):
    write(tmp_path, [START_S], [7], [1.0])
    assert read_bitbrains(tmp_path).sent.shape == (0, 91 * 288)


def test_a_missing_file_says_what_to_set(tmp_path):
    with pytest.raises(NoDataError) as caught:
        read_bitbrains(tmp_path)
    assert "EBBTIDE_DATA" in caught.value.hint


def test_where_the_data_lie(monkeypatch, tmp_path):
    monkeypatch.setenv("EBBTIDE_DATA", str(tmp_path))
    assert data_directory() == tmp_path
    monkeypatch.delenv("EBBTIDE_DATA")
    assert data_directory(Path("/here/repository")) == Path("/here/shared/data")


def test_the_reference_traffic_has_252_entities():
    try:
        traffic = read_bitbrains(data_directory())
    except NoDataError as missing:
        pytest.skip(f"{missing} ({missing.hint})")
    assert traffic.sent.shape == (252, 26_208)
    assert 0.95 < np.isfinite(traffic.sent).mean() < 0.97
