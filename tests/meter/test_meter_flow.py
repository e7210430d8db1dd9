"""Layouts shared with the C side, and addresses."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.meter import flow
from ebbtide.meter.flow import (
    KEY_DTYPE,
    PORT_CLASSES,
    VALUE_DTYPE,
    FlowKey,
    Opener,
    Protocol,
    Reason,
    address_bytes,
    address_text,
    key_bytes,
    port_class,
    read_rows,
)
from ebbtide.meter.probe import OBJECT_PATH

KEY = FlowKey(1 << 40, address_bytes("10.0.0.7"), 42, Protocol.TCP, Opener.REMOTE, 3, b"nginx")


def test_sizes_are_those_of_the_c_structs():
    assert (KEY_DTYPE.itemsize, VALUE_DTYPE.itemsize) == (48, 64)


def test_reasons_are_those_of_the_c_enum():
    text = OBJECT_PATH.with_name("layout.h").read_text()
    names = re.findall(r"REASON_(\w+),", text)
    assert names == [reason.name for reason in sorted(Reason)]


def test_port_classes_are_those_of_the_c_switch():
    text = OBJECT_PATH.with_name("packet.h").read_text()
    cases = re.findall(r"((?:case \d+: ?)+)return (\d+);", text)
    compiled = {int(port): int(number) for ports, number in cases for port in re.findall(r"\d+", ports)}
    assert compiled == flow._CLASS_OF_PORT
    for port in (*compiled, 1, 1023, 1024, 32767, 32768, 65535):
        expected = compiled.get(port, 12 if port < 1024 else 13 if port < 32768 else 14)
        assert port_class(port) == expected
    assert len(PORT_CLASSES) == 15


def test_a_key_survives_the_way_to_the_kernel_and_back():
    values = np.arange(16, dtype=np.int64).tobytes()
    (row,) = read_rows(key_bytes(KEY), values, 1, 2)
    assert row.key == KEY
    assert (row.value.tx_bytes, row.value.sockets) == (0 + 8, 7 + 15)


def test_values_are_summed_over_cpus_without_mixing_rows():
    values = np.array([[[1] * 8, [2] * 8], [[10] * 8, [20] * 8]], np.int64).tobytes()
    rows = read_rows(key_bytes(KEY) * 2, values, 2, 2)
    assert [row.value.rx_wire for row in rows] == [3, 30]


def test_an_unknown_protocol_is_an_error():
    with pytest.raises(ValueError, match="is not a valid"):
        read_rows(bytes(48), bytes(64), 1, 1)


@given(st.ip_addresses())
def test_addresses_survive(address):
    if address.is_unspecified or (address.version == 6 and address.ipv4_mapped):
        return  # the first means no address
    text = str(address)
    assert address_bytes(address_text(address_bytes(text))) == address_bytes(text)


def test_no_address_is_empty():
    assert address_text(bytes(16)) == ""
