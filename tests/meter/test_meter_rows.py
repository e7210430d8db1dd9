"""Rows of the kernel: each reading holds its own interval, whatever a socket remembers of the one before."""

from __future__ import annotations

import re

import pytest
from conftest import total

from ebbtide.errors import ServiceError
from ebbtide.meter.flow import Opener
from ebbtide.meter.libbpf import Object
from ebbtide.meter.probe import OBJECT_PATH
from ebbtide.meter.rows import Rows, count_cpus, rows_for, wait_for_programs
from ebbtide.meter.sockdiag import existing_owners


def test_rows_follow_from_memory_and_cpus():
    assert rows_for(64 << 20, 2) == 124_275
    assert rows_for(1 << 20, 512) == 1024


def test_the_highest_number_of_a_cpu_counts_not_how_many_there_are():
    assert [count_cpus(text) for text in ("0\n", "0-63\n", "0-1,4-7\n", "0,2\n")] == [1, 64, 8, 3]


def test_waiting_for_programs_returns():
    wait_for_programs()


def test_no_counter_is_added_to_in_two_steps():
    """A program interrupted between reading and writing a counter would undo what others of its CPU added meanwhile."""
    text = "".join(path.read_text() for path in sorted(OBJECT_PATH.parent.glob("*.[ch]")))
    assert re.findall(r"(?:value|loss)->\w+ [-+]?=", text) == []
    assert len(re.findall(r"ADD\((?:value|loss)->\w+,", text)) >= 15


def test_a_reading_of_programs_that_are_not_attached_is_empty(image, cgroup_root):
    with Object(image) as programs:
        rows = Rows(programs, rows=100)
        try:
            rows.load(is_loopback_counted=True)
        except ServiceError as error:
            pytest.skip(error.message.splitlines()[0])
        assert [rows.read(), rows.read(), rows.read()] == [[], [], []]
        assert rows.capacity == 100


def test_a_connection_shows_in_each_interval_what_went_in_it(open_probe, run):
    with open_probe() as metered:
        server = run("serve")
        client = run("stay", port=server.says()["port"], size=5000)
        client.says()
        sent, received = [], []
        for _ in range(5):
            flows = metered.read().flows
            sent.append(total([flow for flow in flows if flow.key.tgid == client.pid]).tx_bytes)
            received.append(total([flow for flow in flows if flow.key.tgid == server.pid]).rx_bytes)
            client.tell()
            client.says()
    assert sent == [5000] * 5
    assert received == [5000] * 5


def test_an_idle_interval_has_no_row(open_probe, run):
    with open_probe() as metered:
        server = run("serve")
        client = run("stay", port=server.says()["port"], size=5000)
        client.says()
        assert total(metered.of(client.pid)).tx_bytes == 5000
        assert metered.of(client.pid, server.pid) == []


def test_an_owner_found_within_an_interval_has_a_row_from_then_on(open_probe, run):
    server = run("serve")
    client = run("stay", port=server.says()["port"], size=4000)
    client.says()
    with open_probe() as metered:
        client.tell()
        client.says()
        metered.probe.adopt(existing_owners())
        client.tell()
        client.says()
        flows = metered.read().flows
    assert total([flow for flow in flows if flow.key.tgid == 0]).tx_bytes >= 4000
    (own,) = [flow for flow in flows if flow.key.tgid == client.pid]
    assert (own.value.tx_bytes, own.key.opener) == (4000, Opener.LOCAL)


def test_connections_that_found_no_row_count_under_their_process(open_probe, run):
    with open_probe(rows=2) as metered:
        server = run("serve", connections=4)
        port = server.says()["port"]
        clients = [run("stay", port=port, size=3000) for _ in range(4)]
        for client in clients:
            client.says()
        for client in clients:
            client.tell()
            client.says()
        reading = metered.read()
    rows = [flow for flow in reading.flows if flow.key.tgid in {client.pid for client in clients}]
    folded = [flow for flow in rows if flow.key.address == ""]
    assert {flow.key.tgid: total([flow]).tx_bytes for flow in rows} == {client.pid: 6000 for client in clients}
    assert len(folded) >= 2
    assert reading.losses["folded"].bytes >= total(folded).tx_bytes
    assert reading.losses["map_full"].bytes == 0
