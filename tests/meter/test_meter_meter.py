"""One interval after another, from a source and to a sender that are fakes."""

from __future__ import annotations

import gzip
import threading

import pytest
from test_meter_edge import flow
from test_meter_export import FakeSender

from ebbtide.meter.cgroup import CgroupTable
from ebbtide.meter.dns import NameCache
from ebbtide.meter.export import Answer, Exporter, Outcome, Target
from ebbtide.meter.flow import Flow, FlowKey, FlowValue, Loss, Opener, Protocol, Reading
from ebbtide.meter.inbox import Inbox
from ebbtide.meter.meter import Meter
from ebbtide.meter.place import Names
from ebbtide.meter.process import ProcessTable
from ebbtide.meter.settings import MeterSettings, SourceKind

service = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
SECOND = 1_000_000_000
NOBODY = FlowKey(1, bytes(15) + b"\1", 0, Protocol.TCP, Opener.LOCAL, 3, b"")


class FakeSource:
    def __init__(self, *readings):
        self.readings, self.is_open = list(readings), False

    def start(self):
        self.is_open = True

    def read(self):
        return self.readings.pop(0) if self.readings else Reading(())

    def close(self):
        self.is_open = False


def meter_of(tmp_path, *readings, sender=None, **changes):
    settings = MeterSettings(Target("http://x"), cluster="prod", host="node1", interval_s=1.0)
    processes, dns = ProcessTable(tmp_path), NameCache()
    names = Names("node1", processes, CgroupTable(tmp_path), dns)
    exporter = Exporter(sender or FakeSender())
    return Meter(settings, FakeSource(*readings), names, exporter, Inbox(processes, dns), **changes)


def points_of(body):
    request = service.ExportMetricsServiceRequest.FromString(body)
    found = []
    for metric in request.resource_metrics[0].scope_metrics[0].metrics:
        for row in metric.sum.data_points or metric.gauge.data_points:
            attributes = {pair.key: pair.value.string_value for pair in row.attributes}
            found.append((metric.name, row.as_int, attributes, row.start_time_unix_nano, row.time_unix_nano))
    return found


def values(body):
    return {(name, *attributes.values()): value for name, value, attributes, *_ in points_of(body)}


def test_intervals_follow_each_other_without_a_gap(tmp_path):
    meter = meter_of(tmp_path, Reading((flow(tx_bytes=1),)), Reading((flow(tx_bytes=2),)))
    meter.begin(5 * SECOND)
    meter.tick(15 * SECOND)
    meter.tick(26 * SECOND)
    times = [points_of(body)[0][3:] for body in meter.exporter.sender.sent]
    assert times == [(5 * SECOND, 15 * SECOND), (15 * SECOND, 26 * SECOND)]


def test_a_quiet_interval_still_has_a_heartbeat(tmp_path):
    meter = meter_of(tmp_path)
    meter.begin(0)
    meter.tick(SECOND)
    (body,) = meter.exporter.sender.sent
    beat = next(point for point in points_of(body) if point[0] == "ebpf_net.up")
    assert (beat[1], beat[2]) == (1, {"host.name": "node1", "source": "ebpf"})
    request = service.ExportMetricsServiceRequest.FromString(body)
    resource = {pair.key: pair.value.string_value for pair in request.resource_metrics[0].resource.attributes}
    assert resource["k8s.cluster.name"] == "prod"


def test_what_is_in_no_row_is_said_with_its_reason(tmp_path):
    nobody = Flow(
        FlowKey(1, bytes(15) + b"\1", 0, Protocol.TCP, Opener.LOCAL, 3, b""), FlowValue(tx_bytes=30, rx_bytes=3)
    )
    losses = {"map_full": Loss(500, 5), "protocol": Loss(64, 1), "loopback": Loss(0, 0)}
    meter = meter_of(tmp_path, Reading((nobody, flow(tx_again=4)), losses, 1000))
    meter.begin(0)
    meter.tick(SECOND)
    found = values(meter.exporter.sender.sent[0])
    assert found["ebbtide.meter.unattributed.bytes", "map_full"] == 500
    assert found["ebbtide.meter.unattributed.packets", "protocol"] == 1
    assert found["ebbtide.meter.unattributed.bytes", "no_process"] == 33
    assert found["ebbtide.meter.unnamed.rows", "no_process"] == 1
    assert found["ebbtide.meter.retransmitted.packets",] == 4
    assert (found["ebbtide.meter.map.rows",], found["ebbtide.meter.map.capacity",]) == (2, 1000)
    assert ("ebbtide.meter.unattributed.bytes", "loopback") not in found


def test_counts_of_reasons_are_deltas(tmp_path):
    nobody = Flow(NOBODY, FlowValue(tx_bytes=1))
    meter = meter_of(tmp_path, Reading((nobody,)), Reading((nobody,)))
    meter.begin(0)
    meter.tick(SECOND)
    meter.tick(2 * SECOND)
    assert [values(body)["ebbtide.meter.unnamed.rows", "no_process"] for body in meter.exporter.sender.sent] == [1, 1]


def test_what_the_fallback_cannot_see_is_in_the_metrics(tmp_path):
    meter = meter_of(tmp_path, kind=SourceKind.SOCK_DIAG, missing=("udp", "header_bytes"))
    meter.begin(0)
    meter.tick(SECOND)
    found = values(meter.exporter.sender.sent[0])
    assert found["ebbtide.meter.missing", "udp"] == found["ebbtide.meter.missing", "header_bytes"] == 1
    assert found["ebpf_net.up", "node1", "sock_diag"] == 1


def test_a_receiver_away_shows_in_the_metrics_once_it_is_back(tmp_path):
    sender = FakeSender()
    sender.answer = Answer(Outcome.LATER, error="away")
    meter = meter_of(tmp_path, sender=sender)
    meter.begin(0)
    meter.tick(SECOND)
    sender.answer = Answer(Outcome.SENT)
    meter.tick(100 * SECOND)
    assert len(sender.sent) == 2
    found = values(sender.sent[1])
    assert found["ebbtide.meter.export.failures",] == 1
    assert found["ebbtide.meter.export.points", "waiting"] > 0


def test_the_last_interval_is_sent_when_told_to_stop(tmp_path):
    meter = meter_of(tmp_path, Reading((flow(tx_bytes=9),)))
    stop = threading.Event()
    stop.set()
    meter.run(stop)
    (body,) = meter.exporter.sender.sent
    assert gzip.compress(body)
    assert any(point[:2] == ("tcp.bytes", 9) for point in points_of(body))
