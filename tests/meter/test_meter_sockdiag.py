"""Netlink messages: built by hand, cut, hostile, and the kernel's own about sockets made here."""

from __future__ import annotations

import os
import socket
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.errors import ServiceError
from ebbtide.meter.flow import Opener, Protocol, address_bytes
from ebbtide.meter.sockdiag import (
    CLOSE_WAIT,
    LISTEN,
    Diag,
    existing_owners,
    holders,
    inside,
    messages,
    namespace_paths,
    parse_socket,
    parse_tcp_info,
)


@pytest.fixture
def pair():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    accepted, _ = server.accept()
    yield server, client, accepted
    for sock in (accepted, client, server):
        sock.close()


def diag(**arguments):
    try:
        return Diag(**arguments)
    except ServiceError as error:
        pytest.skip(str(error))


def tcp_info(*, acked=0, received=0, out=0, into=0, again=0, sent=0, sent_again=0, length=232):
    info = bytearray(232)
    struct.pack_into("=I", info, 100, again)
    struct.pack_into("=QQII", info, 120, acked, received, out, into)
    struct.pack_into("=QQ", info, 200, sent, sent_again)
    return bytes(info[:length])


def test_the_kernel_counts_what_was_sent(pair):
    _, client, accepted = pair
    client.sendall(bytes(5000))
    while len(accepted.recv(5000, socket.MSG_PEEK)) < 5000:
        pass
    with diag() as kernel:
        sockets = {one.inode: one for one in kernel.dump(Protocol.TCP)}
    ours = sockets[os.fstat(client.fileno()).st_ino]
    theirs = sockets[os.fstat(accepted.fileno()).st_ino]
    assert (ours.counters.sent_bytes, theirs.counters.received_bytes) == (5000, 5000)
    assert (ours.remote, ours.remote_port) == (address_bytes("127.0.0.1"), theirs.local_port)


def test_a_closed_socket_is_told_with_its_final_counts(pair):
    _, client, accepted = pair
    with diag(is_listening=True) as kernel:
        port = client.getsockname()[1]
        client.sendall(bytes(700))
        client.shutdown(socket.SHUT_WR)
        while accepted.recv(4096):
            pass
        accepted.close()
        client.close()
        sent, end = [], time.monotonic() + 5
        while 700 not in sent and time.monotonic() < end:  # the kernel notifies from a work queue
            found = [one for one in kernel.ended() if port in (one.local_port, one.remote_port)]
            sent += [one.counters.sent_bytes for one in found]
    assert 700 in sent


def test_owners_of_open_sockets_are_found(pair):
    server, client, accepted = pair
    inodes = {os.fstat(sock.fileno()).st_ino for sock in (server, client, accepted)}
    assert holders(inodes) == dict.fromkeys(inodes, os.getpid())
    diag().close()
    mine = [key for key in existing_owners().values() if key.tgid == os.getpid()]
    assert {Opener.LOCAL, Opener.REMOTE} <= {key.opener for key in mine}


def test_inside_comes_back(wire):
    own = Path("/proc/thread-self/ns/net")
    before = own.readlink()
    assert all(path.name == "net" for path in namespace_paths().values())
    with inside(Path("/run/netns") / wire.left):
        assert own.readlink() != before
    assert own.readlink() == before


def test_a_namespace_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"), inside(tmp_path / "gone"):
        pass


def test_sent_is_what_was_sent_once():
    counters = parse_tcp_info(tcp_info(acked=90, sent=120, sent_again=20, received=7, out=5, into=6, again=2), 1)
    assert (counters.sent_bytes, counters.received_bytes, counters.again) == (100, 7, 2)


def test_older_kernels_say_what_was_acknowledged():
    assert parse_tcp_info(tcp_info(acked=90, length=144), 1).sent_bytes == 90


def test_a_fin_is_no_payload():
    assert parse_tcp_info(tcp_info(received=8), CLOSE_WAIT).received_bytes == 7


def message(state=1, family=2, attributes=b""):
    head = struct.pack("=BBBB", family, state, 0, 0) + struct.pack("!HH", 1234, 443)
    head += socket.inet_aton("10.0.0.1").ljust(16, b"\0") + socket.inet_aton("10.0.0.2").ljust(16, b"\0")
    return head + struct.pack("=IQIIIII", 0, 77, 0, 0, 0, 0, 99) + attributes


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def test_a_message_is_read_with_its_attributes():
    body = message(attributes=attribute(2, tcp_info(sent=5)) + attribute(21, struct.pack("=Q", 4242)))
    found = parse_socket(body, Protocol.TCP)
    assert (found.cookie, found.inode, found.cgroup) == (77, 99, 4242)
    assert (found.local_port, found.remote_port, found.remote) == (1234, 443, address_bytes("10.0.0.2"))
    assert found.counters.sent_bytes == 5
    assert parse_socket(message(LISTEN, attributes=attribute(2, tcp_info())), Protocol.TCP).counters is None


def test_a_cut_message_is_none():
    assert parse_socket(message()[:-1], Protocol.TCP) is None


@given(st.binary(max_size=400))
def test_no_bytes_raise(data):
    for _, body in messages(data):
        parse_socket(body, Protocol.TCP)
    parse_socket(data, Protocol.TCP)
