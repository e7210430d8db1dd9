"""Counting without eBPF: deltas of readings, wraps, ended sockets, and real transfers."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace

import pytest
from conftest import total
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.errors import ServiceError
from ebbtide.meter.fallback import Fallback, SocketTracker, delta32
from ebbtide.meter.flow import FlowValue, Opener, Protocol, address_bytes
from ebbtide.meter.sockdiag import LISTEN, Socket, TcpCounters


def sock(cookie=1, *, sent=0, received=0, out=0, into=0, again=0, local_port=50000, inode=9, state=1):
    counters = None if state == LISTEN else TcpCounters(sent, received, out, into, again)
    return Socket(
        cookie,
        Protocol.TCP,
        state,
        address_bytes("10.0.0.1"),
        local_port,
        address_bytes("10.0.0.2"),
        443,
        inode,
        5,
        counters,
    )


def tracker(owners=None):
    return SocketTracker(lambda inodes: owners or dict.fromkeys(inodes, 7), lambda tgid: b"name%d" % tgid)


def started(*old):
    made = tracker()
    made.see([(0, one) for one in old])
    return made


def test_what_was_before_the_start_is_not_counted():
    made = started(sock(sent=10**9))
    assert made.take() == []
    made.see([(0, sock(sent=10**9 + 5))])
    (flow,) = made.take()
    assert (flow.value.tx_bytes, flow.value.sockets) == (5, 0)


def test_a_new_socket_is_counted_from_nothing():
    made = started()
    made.see([(0, sock(sent=300, received=20, out=4, into=3, again=1))])
    (flow,) = made.take()
    assert flow.value == FlowValue(tx_bytes=300, rx_bytes=20, tx_packets=3, rx_packets=3, tx_again=1, sockets=1)
    assert (flow.key.tgid, flow.key.name, flow.key.cgroup, flow.key.opener) == (7, b"name7", 5, Opener.LOCAL)


def test_a_listened_port_makes_the_peer_the_opener():
    made = started()
    made.see([(0, sock(2, local_port=8443, state=LISTEN)), (0, sock(sent=1, local_port=8443))])
    assert made.take()[0].key.opener is Opener.REMOTE


def test_the_end_brings_the_rest_and_forgets():
    made = started()
    made.see([(0, sock(sent=100))])
    made.end(0, sock(sent=150, inode=0))
    assert total(made.take()).tx_bytes == 150
    assert len(made) == 0


def test_a_socket_no_poll_saw_counts_without_a_process():
    made = started()
    made.end(0, sock(sent=40, received=2, inode=0))
    (flow,) = made.take()
    assert (flow.value.tx_bytes, flow.value.sockets, flow.key.tgid, made.unseen_bytes) == (40, 1, 0, 42)


def test_the_same_cookie_in_another_namespace_is_another_socket():
    made = started(sock(sent=100))
    made.see([(0, sock(sent=100)), (1, sock(sent=30))])
    assert total(made.take()).tx_bytes == 30


def test_a_lost_notification_does_not_keep_the_socket():
    made = started(sock(1), sock(2))
    made.forget({(0, 2)})
    assert len(made) == 2
    made.forget({(0, 2)})
    assert len(made) == 1


def test_a_late_notification_does_not_count_the_past_again():
    made = started()
    made.see([(0, sock(sent=100))])
    made.take()
    made.see([])
    made.forget(set())
    made.end(0, sock(sent=120, inode=0))
    assert total(made.take()).tx_bytes == 20


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**31))
def test_32_bit_counters_wrap(before, step):
    assert delta32((before + step) % 2**32, before) == step


def test_segments_wrap_without_a_spike():
    made = started(sock(out=2**32 - 2))
    made.see([(0, sock(out=3))])
    assert total(made.take()).tx_packets == 5


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 3)), min_size=1, max_size=20))
def test_deltas_add_up_to_the_last_reading(steps):
    made, sent, sum_taken = started(), 0, 0
    for grown, read in steps:
        sent += grown
        made.see([(0, sock(sent=sent))])
        if read:
            sum_taken += total(made.take()).tx_bytes
    made.end(0, sock(sent=sent))
    assert sum_taken + total(made.take()).tx_bytes == sent


def test_a_counter_that_goes_back_gives_nothing():
    made = started(sock(sent=100))
    made.see([(0, replace(sock(), counters=TcpCounters(50, 0, 0, 0, 0)))])
    assert total(made.take()).tx_bytes == 0


@pytest.fixture
def fallback():
    source = Fallback(poll_s=60.0, is_loopback_counted=True)
    try:
        source.start()
    except ServiceError as error:
        pytest.skip(str(error))
    with source:
        yield source


def test_a_transfer_is_seen_by_polling(fallback):
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    accepted, _ = server.accept()
    fallback.poll()
    client.sendall(bytes(200_000))
    received = 0
    while received < 200_000:
        received += len(accepted.recv(65536))
    flows = [flow for flow in fallback.read().flows if flow.key.tgid == os.getpid()]
    for one in (client, accepted, server):
        one.close()
    sent = total([flow for flow in flows if flow.key.opener is Opener.LOCAL])
    taken = total([flow for flow in flows if flow.key.opener is Opener.REMOTE])
    assert (sent.tx_bytes, taken.rx_bytes, sent.sockets, taken.sockets) == (200_000, 200_000, 1, 1)


def test_connections_between_two_polls_keep_their_bytes(fallback, run):
    server = run("serve", connections=50)
    port = server.says()["port"]
    run("send", port=port, size=1000, connections=50).end()
    server.end()
    sent = unseen = 0
    end = time.monotonic() + 5
    while sent < 50_000 and time.monotonic() < end:  # the kernel notifies from a work queue
        reading = fallback.read()
        sent += sum(flow.value.tx_bytes for flow in reading.flows)
        unseen += reading.losses["closed_before_seen"].bytes
    assert sent == 50_000
    assert unseen >= 50_000


def test_other_network_namespaces_are_seen(wire, run):
    server = run("serve", netns=wire.right, host=wire.right_ip)
    port = server.says()["port"]
    client = run("stay", netns=wire.left, host=wire.right_ip, port=port, size=1000)
    client.says()
    with Fallback(poll_s=60.0) as source:
        source.start()
        client.tell()
        client.says()
        sums = total([flow for flow in source.read().flows if flow.key.tgid == client.pid])
        assert source.unseen_namespaces == 0
    assert (sums.tx_bytes, sums.sockets) == (1000, 0)
