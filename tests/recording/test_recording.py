"""The shipped recording: what is in it is what its README says."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml

from ebbtide import recording
from ebbtide.errors import NotFoundError
from ebbtide.series import DAY_NS, METRICS, MINUTE_NS

MINUTES = {"machine-1-6": 47_377, "machine-2-1": 47_387, "machine-2-8": 47_405, "machine-3-3": 47_406}

#: Row 0 of machine-1-6 in the published series: eth1_fo, out_segs, udp_out_dg.
FIRST_OF_1_6 = (0.180865, 0.116625, 0.091252)


def test_all_four_machines_with_all_their_minutes():
    assert {name: recording.read(name).num_rows for name in recording.machines()} == MINUTES


@pytest.mark.parametrize("machine", sorted(MINUTES))
def test_a_machine_is_a_row_a_minute_from_the_start_of_2024(machine):
    table = recording.read(machine)
    assert table.schema.field("time").type == pa.timestamp("ns", "UTC")
    assert table["time"][0].as_py().isoformat() == "2024-01-01T00:00:00+00:00"
    time_ns = pc.cast(table["time"], pa.int64()).to_numpy()
    assert time_ns[0] == recording.START_NS
    assert set(np.diff(time_ns)) == {MINUTE_NS}
    assert pc.unique(table["machine"]).to_pylist() == [machine]


@pytest.mark.parametrize("machine", sorted(MINUTES))
def test_every_column_fills_0_to_1_in_millionths(machine):
    table = recording.read(machine)
    assert table.column_names == ["time", "machine", *recording.COLUMNS]
    for name in recording.COLUMNS:
        value = table[name].to_numpy()
        assert (value.min(), value.max()) == (0.0, 1.0)
        assert np.array_equal(np.round(value, 6), value)


def test_a_few_values_are_the_published_ones():
    table = recording.read("machine-1-6")
    first = [np.float32(table[name][0].as_py()) for name in ("eth1_fo", "out_segs", "udp_out_dg")]
    assert first == [np.float32(x) for x in FIRST_OF_1_6]


def test_an_unknown_machine_is_refused_with_those_there_are():
    with pytest.raises(NotFoundError, match="machine-9-9") as caught:
        recording.read("../machine-9-9")
    assert "machine-1-6" in caught.value.hint


def test_incidents_are_the_72_labelled_ones_of_which_23_are_outbound():
    found = recording.incidents()
    assert (len(found), sum(one.is_outbound for one in found)) == (72, 23)
    assert list(found) == sorted(found, key=lambda one: (one.machine, one.start_ns))
    network_out = {"eth1_fo", "eth1_po", "active_opens", "out_segs", "udp_out_dg"}
    assert all(one.is_outbound == bool(network_out & set(one.dimensions)) for one in found)


def test_incidents_lie_in_the_labelled_half():
    for one in recording.incidents():
        end_ns = recording.START_NS + MINUTES[one.machine] * MINUTE_NS
        assert recording.labelled_from_ns(one.machine) <= one.start_ns < one.end_ns <= end_ns


def test_the_first_incident_of_machine_1_6():
    first = recording.incidents()[0]
    assert first.machine == "machine-1-6"
    assert (first.start_ns - recording.START_NS, first.end_ns - first.start_ns) == (23_934 * MINUTE_NS, 6 * MINUTE_NS)
    assert (first.start_ns - recording.START_NS) // DAY_NS == 16
    assert first.dimensions[:2] == ("cpu_r", "load_1")
    assert not first.is_outbound


def test_one_scale_per_metric_read_from_the_mapping():
    assert recording.SCALES == {"tcp.bytes": 1e8, "tcp.packets": 1e5, "tcp.new_sockets": 1e3, "udp.packets": 1e4}
    assert set(recording.SCALES) <= set(METRICS)
    assert recording.UNIT == "scaled units"
    with pytest.raises(AttributeError, match="SCALE"):
        recording.SCALE  # noqa: B018


def test_the_mapping_names_every_column_once_and_marks_starts():
    mapping = yaml.safe_load(recording.mapping())
    assert [rule["name"] for rule in mapping["metrics"]] == list(recording.COLUMNS)
    assert list(mapping["columns"]["values"]) == list(recording.COLUMNS)
    assert (mapping["columns"]["marks"], mapping["interval"]) == ("start", "60s")
    received = {rule["name"] for rule in mapping["metrics"] if rule.get("direction") == "receive"}
    assert received == {"eth1_fi", "in_segs", "udp_in_dg"}


def test_it_ships_small_and_with_its_licences():
    folder = resources.files("ebbtide.recording")
    files = {entry.name: len(entry.read_bytes()) for entry in folder.iterdir() if entry.is_file()}
    assert sum(files.values()) < 4_000_000
    licence = folder.joinpath("LICENSE").read_text(encoding="utf-8")
    assert "Copyright (c) 2021 NetManAIOps-OmniAnomaly" in licence
    assert "Copyright (c) 2021 zhhlee" in licence
    assert licence.count("Permission is hereby granted, free of charge") == 2
    readme = folder.joinpath("README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in readme for name in recording.COLUMNS)
