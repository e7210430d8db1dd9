"""Known traffic against what the programs counted: payload exact, segments as tcp_info has them, no byte nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from conftest import TRAFFIC, total

from ebbtide.meter.flow import DnsNews, Opener, ProcessNews, Protocol, address_bytes
from ebbtide.meter.probe import parse_news
from ebbtide.meter.sockdiag import existing_owners


def wait_until(is_true, limit_s=5.0):
    end = time.monotonic() + limit_s
    while not is_true() and time.monotonic() < end:
        os.sched_yield()
    assert is_true()


@pytest.mark.parametrize("host", ["right_ip", "right_ip6"])
def test_tcp_payload_and_segments_are_exact(open_probe, wire, run, host):
    address = getattr(wire, host)
    with open_probe() as metered:
        server = run("serve", netns=wire.right, host=address, reply=70_000)
        port = server.says()["port"]
        client = run("send", netns=wire.left, host=address, port=port, size=3_000_000)
        said, served = client.end(), server.end()
        flows = metered.read().flows
    sent = total([flow for flow in flows if flow.key.tgid == client.pid])
    taken = total([flow for flow in flows if flow.key.tgid == server.pid])
    assert (sent.tx_bytes, sent.rx_bytes, sent.sockets) == (3_000_000, 70_000, 1)
    assert (taken.tx_bytes, taken.rx_bytes, taken.sockets) == (70_000, 3_000_000, 1)
    assert sent.tx_packets + sent.tx_again == said["info"]["out"]
    assert sent.rx_packets == said["info"]["in"]
    assert (taken.tx_packets + taken.tx_again, taken.rx_packets) == (sent.rx_packets, sent.tx_packets + sent.tx_again)
    # The kernel gives an accepted socket no SYN+ACK.
    assert taken.tx_packets + taken.tx_again >= served["infos"][0]["out"] + 1
    key = next(flow.key for flow in flows if flow.key.tgid == client.pid)
    assert (key.remote, key.opener, key.protocol) == (address_bytes(address), Opener.LOCAL, Protocol.TCP)
    assert {flow.key.opener for flow in flows if flow.key.tgid == server.pid} == {Opener.REMOTE}


def test_payload_and_headers_are_what_the_interface_carried(open_probe, wire, run):
    """The wire has no SACK: what comes in is counted with headers as long as those going out (docs/meter.md)."""
    with open_probe() as metered:
        before = wire.counters(wire.left)
        server = run("serve", netns=wire.right, host=wire.right_ip, reply=200_000)
        client = run("send", netns=wire.left, host=wire.right_ip, port=server.says()["port"], size=5_000_000)
        client.end(), server.end()
        sums = total(metered.of(client.pid))
        after = wire.counters(wire.left)
    ethernet = 14
    out = sums.tx_wire + ethernet * (sums.tx_packets + sums.tx_again)
    assert out == pytest.approx(after["tx"]["bytes"] - before["tx"]["bytes"], rel=0.02)
    got = sums.rx_wire + ethernet * sums.rx_packets
    assert got == pytest.approx(after["rx"]["bytes"] - before["rx"]["bytes"], rel=0.02)


@pytest.mark.parametrize("host", ["right_ip", "right_ip6"])
def test_udp_datagrams_are_exact(open_probe, wire, run, host):
    address = getattr(wire, host)
    with open_probe() as metered:
        sink = run("sink", netns=wire.right, host=address, connections=500)
        port = sink.says()["port"]
        source = run("burst", netns=wire.left, host=address, port=port, size=700, connections=500)
        source.end(), sink.end()
        flows = metered.read().flows
    sent = total([flow for flow in flows if flow.key.tgid == source.pid])
    taken = total([flow for flow in flows if flow.key.tgid == sink.pid])
    assert (sent.tx_bytes, sent.tx_packets) == (350_000, 500)
    assert (taken.rx_bytes, taken.rx_packets) == (350_000, 500)


def test_a_fragmented_datagram_is_one(open_probe, wire, run):
    with open_probe() as metered:
        sink = run("sink", netns=wire.right, host=wire.right_ip, connections=3)
        port = sink.says()["port"]
        source = run("burst", netns=wire.left, host=wire.right_ip, port=port, size=20_000, connections=3)
        source.end(), sink.end()
        sums = total(metered.of(source.pid, sink.pid))
    assert (sums.tx_bytes, sums.tx_packets, sums.rx_bytes, sums.rx_packets) == (60_000, 3, 60_000, 3)


def test_many_short_connections(open_probe, wire, run):
    with open_probe() as metered:
        server = run("serve", netns=wire.right, host=wire.right_ip, connections=300, reply=7)
        port = server.says()["port"]
        client = run("send", netns=wire.left, host=wire.right_ip, port=port, size=11, connections=300)
        client.end(), server.end()
        flows = metered.read().flows
    sent = total([flow for flow in flows if flow.key.tgid == client.pid])
    taken = total([flow for flow in flows if flow.key.tgid == server.pid])
    assert (sent.tx_bytes, sent.rx_bytes, sent.sockets) == (3300, 2100, 300)
    assert (taken.tx_bytes, taken.rx_bytes, taken.sockets) == (2100, 3300, 300)


def test_refused_connections_are_attempts(open_probe, run):
    with open_probe() as metered:
        closed = run("sink", host="127.0.0.1")  # a UDP port: nobody listens there for TCP
        port = closed.says()["port"]
        client = run("send", host="127.0.0.1", port=port)
        client.process.communicate()
        sums = total(metered.of(client.pid))
    assert (sums.sockets, sums.tx_bytes, sums.tx_packets, sums.rx_packets) == (1, 0, 1, 1)


def test_a_process_of_milliseconds_is_attributed(open_probe, run):
    script = "exec 3<>/dev/tcp/127.0.0.1/$0; printf 0123456789 >&3"
    with open_probe() as metered:
        server = run("serve", connections=1)
        port = server.says()["port"]
        brief = subprocess.Popen(["bash", "-c", script, str(port)])
        assert brief.wait() == 0
        server.end()
        flows = metered.of(brief.pid)
        wait_until(lambda: any(isinstance(one, ProcessNews) and one.tgid == brief.pid for one in metered.news))
    assert total(flows).tx_bytes == 10
    assert {flow.key.name for flow in flows} == {b"bash"}


def test_a_prefork_server_keeps_every_byte(open_probe, run):
    with open_probe() as metered:
        server = run("prefork", connections=20, reply=500)
        port = server.says()["port"]
        for client in [run("send", port=port, size=1000, connections=10) for _ in range(2)]:
            client.end()
        server.end()
        sums = total(metered.of(server.pid))
    assert (sums.rx_bytes, sums.tx_bytes, sums.sockets) == (20_000, 10_000, 20)


def test_retransmissions_are_not_payload(open_probe, wire, run):
    def point_to(hardware):
        line = f"ip -n {wire.left} neigh replace {wire.right_ip} lladdr {hardware} dev eth0 nud permanent"
        subprocess.run(line.split(), check=True)

    with open_probe() as metered:
        server = run("serve", netns=wire.right, host=wire.right_ip)
        client = run("stay", netns=wire.left, host=wire.right_ip, port=server.says()["port"], size=20_000)
        client.says()
        point_to("02:00:00:00:00:99")  # nobody: what is sent now is lost on the way
        client.tell()
        client.says()
        point_to(wire.hardware(wire.right))
        client.tell()
        client.says()
        client.process.stdin.close()
        assert server.end()["received"] == 60_000
        flows = metered.read().flows
    sent = total([flow for flow in flows if flow.key.tgid == client.pid])
    taken = total([flow for flow in flows if flow.key.tgid == server.pid])
    assert (sent.tx_bytes, taken.rx_bytes) == (60_000, 60_000)
    assert sent.tx_again > 0
    assert sent.tx_wire > taken.rx_wire


def test_sequence_numbers_may_wrap(open_probe, run):
    size = (1 << 32) + 50_000_000
    with open_probe() as metered:
        server = run("serve")
        port = server.says()["port"]
        client = run("send", port=port, size=size)
        client.end()
        assert server.end()["received"] == size
        flows = metered.read().flows
    assert total([flow for flow in flows if flow.key.tgid == client.pid]).tx_bytes == size
    assert total([flow for flow in flows if flow.key.tgid == server.pid]).rx_bytes == size


def test_a_container_is_known_by_its_cgroup_even_when_it_is_gone(open_probe, container, run):
    number = container.stat().st_ino
    with open_probe() as metered:
        server = run("serve")
        port = server.says()["port"]
        client = run("send", cgroup=container, port=port, size=5000)
        client.end()
        container.rmdir()
        server.end()
        flows = metered.of(client.pid)
    assert {flow.key.cgroup for flow in flows} == {number}
    assert total(flows).tx_bytes == 5000


def test_a_full_map_folds_and_loses_nothing(open_probe, run):
    with open_probe(rows=64) as metered:
        source = run("burst", host="127.0.1.1", port=9, size=100, connections=400, spread=200)
        source.end()
        reading = metered.read()
        rows = [flow for flow in reading.flows if flow.key.tgid == source.pid]
        again = metered.of(source.pid)
    lost = reading.losses["map_full"].bytes
    folded = [flow for flow in rows if flow.key.address == ""]
    assert total(rows).tx_bytes + lost == 40_000
    assert len(rows) < 200
    assert reading.losses["folded"].bytes >= total(folded).tx_bytes > 0
    assert again == []


def test_loopback_is_left_out_unless_asked_for(open_probe, run):
    with open_probe(is_loopback_counted=False) as metered:
        source = run("burst", host="127.0.0.1", port=9, size=100, connections=10)
        source.end()
        reading = metered.read()
    assert [flow for flow in reading.flows if flow.key.tgid == source.pid] == []
    assert reading.losses["loopback"].bytes >= 1000


def test_a_socket_older_than_the_meter_finds_its_owner(open_probe, run):
    server = run("serve")
    client = run("stay", port=server.says()["port"], size=4000)
    client.says()
    with open_probe() as metered:
        client.tell()
        client.says()
        flows = metered.read().flows
        assert total([flow for flow in flows if flow.key.tgid == client.pid]).tx_bytes == 0
        assert total([flow for flow in flows if flow.key.tgid == 0]).tx_bytes >= 4000
        metered.probe.adopt(existing_owners())
        client.tell()
        client.says()
        flows = metered.of(client.pid, server.pid)
    assert total([flow for flow in flows if flow.key.tgid == client.pid]).tx_bytes == 4000
    assert total([flow for flow in flows if flow.key.tgid == server.pid]).rx_bytes == 4000
    openers = {flow.key.tgid: flow.key.opener for flow in flows}
    assert openers == {client.pid: Opener.LOCAL, server.pid: Opener.REMOTE}


def test_a_killed_meter_leaves_nothing_and_its_successor_counts_no_past(open_probe, cgroup_root, image, run, tmp_path):
    server = run("serve")
    client = run("stay", port=server.says()["port"], size=100_000)
    client.says()
    path = tmp_path / "meter.bpf.o"
    path.write_bytes(image)
    script = (
        "import sys; from pathlib import Path; from ebbtide.meter.probe import Probe, ProbeSettings\n"
        "probe = Probe(ProbeSettings(Path(sys.argv[1]), is_loopback_counted=True), print,"
        " image=Path(sys.argv[2]).read_bytes(), rows=1024)\n"
        "probe.start(); print('on', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", script, str(cgroup_root), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdout.readline() == "on\n"
    client.tell()
    client.says()
    first.kill()
    first.communicate()
    with open_probe() as metered:
        metered.probe.adopt(existing_owners())
        assert total(metered.of(client.pid)).tx_bytes == 0
        client.tell()
        client.says()
        assert total(metered.of(client.pid)).tx_bytes == 100_000
        assert total(metered.of(client.pid)).tx_bytes == 0


def test_dns_answers_are_heard(open_probe, wire, run):
    with open_probe() as metered:
        server = run("resolve", netns=wire.right, host=wire.right_ip, name="192.0.2.7")
        server.says()
        run("ask", netns=wire.left, host=wire.right_ip, name="files.example.org").end()
        server.end()
        wait_until(lambda: any(isinstance(one, DnsNews) and b"example" in one.message for one in metered.news))


def test_the_script_of_traffic_exists():
    assert TRAFFIC.exists()


def test_news_of_an_unknown_kind_is_none():
    assert parse_news(b"\x09\0\0\0" + bytes(28)) is None
    assert parse_news(b"") is None
    assert parse_news(bytes([2, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]) + b"abcdef") == DnsNews(7, b"abc")
