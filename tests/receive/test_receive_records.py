"""The small parts: room, receipts, counters, clusters heard, sources, hand-written messages, deadlines."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter

import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from pydantic import ValidationError
from requests_of_decode import EDGE, proto
from requests_of_decode import Point as Sent

from build import Point, batch_of
from ebbtide.decode.preset import load_preset
from ebbtide.decode.session import Session
from ebbtide.errors import ConfigError, DecodeError, ServiceError
from ebbtide.receive.deadlines import Deadlines
from ebbtide.receive.heard import Clusters
from ebbtide.receive.receipt import Heard, Receipt, Unread
from ebbtide.receive.refusal import Reason, Refusal, not_stored
from ebbtide.receive.room import Room
from ebbtide.receive.settings import Listener, Token
from ebbtide.receive.source import pinned, source_of, sources_of
from ebbtide.receive.status import export_response, rpc_status
from ebbtide.receive.tally import Tally
from ebbtide.series import SECOND_NS, Batch, Counts, Entity, Heartbeat


def test_a_room_is_given_back_whatever_happens():
    room = Room(10)
    with pytest.raises(RuntimeError), room.hold() as hold:
        hold.take(4)
        hold.take(6)
        with pytest.raises(Refusal) as caught:
            room.take(1)
        assert caught.value.reason is Reason.BUSY
        raise RuntimeError
    assert room.held == 0
    room.take(10)


def test_a_receipt_in_words():
    assert Receipt(3, Counter(), Counter(), 0).reasons == ""
    assert Receipt(3, Counter(negative=1), Counter(), 0).reasons == "1 point rejected: 1 negative"
    assert not Receipt(3, Counter(negative=1), Counter(), 0).is_clean


def test_a_snapshot_of_counters_is_a_copy():
    tally = Tally()
    tally.store("hec", 10, Counts(accepted=2, rejected=Counter(negative=1)), ("p", "c"))
    tally.refuse("hec", "busy")
    tally.answer_late("hec")
    tally.commit(2, Counter(duplicate=1), 0.5)
    tally.fail()
    rest = {"waiting_bodies": 0, "held_bytes": 0, "readings_evicted": 0, "clusters_forgotten": 0}
    before = tally.snapshot(**rest)
    tally.store("hec", 10, Counts(accepted=5), ("p", "c"))
    tally.commit(5, Counter(), 0.5)
    assert before.traffic["hec"].points.accepted == 2
    assert before.traffic["hec"].refused == {"busy": 1}
    assert before.traffic["hec"].answered_late == 1
    assert (before.stored, before.dropped, before.commits, before.commit_failures) == (2, {"duplicate": 1}, 1, 1)
    assert tally.points().accepted == 7 and tally.dropped == {"duplicate": 1}


def test_clusters_go_forward_only_and_the_one_silent_longest_is_forgotten():
    clusters = Clusters(clusters_max=2)
    clusters.note(batch_of([Point(100, 1), Point(90, 1, to="b"), Point(80, 1, sender=Entity("b", "n", "w"))]), 7)
    clusters.note(batch_of([Point(50, 1)]), 8)
    assert clusters.snapshot() == {"prod": Heard(100 * SECOND_NS, 8), "b": Heard(80 * SECOND_NS, 7)}
    clusters.note(batch_of([Point(60, 1, sender=None, receiver=Entity("c", "n", "w"))]), 9)
    assert set(clusters.snapshot()) == {"prod", "c"} and clusters.forgotten == 1


def test_heartbeats_are_heard():
    beats = (Heartbeat("q", 1, 2),)
    clusters = Clusters()
    clusters.note(dataclasses.replace(Batch.empty(), heartbeats=beats), 5)
    assert clusters.snapshot() == {"q": Heard(0, 5)}


def test_a_pinned_source_does_not_believe_what_points_say():
    labels = {
        **EDGE,
        "k8s.cluster.name": "stolen",
        "dest.environment": "other",
        "dest.resolution_type": "K8S_CONTAINER",
    }
    listener = Listener(address="127.0.0.1:0", cluster="mine", is_cluster_pinned=True)
    [source] = [source for pin, source in sources_of(listener).items() if pin == "mine"]
    body = proto([Sent(labels=labels), Sent("ebpf_net.up", 1, {"k8s.cluster.name": "stolen"}, kind="gauge")])
    batch = Session(source.preset, default_cluster=source.cluster).decode("otlp_proto", body)
    [series] = batch.series
    assert series.sender.cluster == series.source.cluster == series.destination.cluster == "mine"
    assert [beat.cluster for beat in batch.heartbeats] == ["mine"]
    believed = Session(load_preset("opentelemetry-network"), default_cluster="mine").decode("otlp_proto", body)
    assert believed.series[0].sender.cluster == "stolen"


def test_sources_by_pin_and_their_keys():
    listener = Listener(
        address="127.0.0.1:0",
        tokens=[Token(name="a", sha256="a" * 64), Token(name="b", sha256="b" * 64, cluster="c1")],
    )
    sources = sources_of(listener)
    assert set(sources) == {None, "c1"}
    assert sources[None].key == source_of(listener, None).key != sources["c1"].key
    assert pinned(load_preset("splunk")).default_cluster


def test_presets_from_files(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("extends: coroot\ninterval: 1m\n")
    assert source_of(Listener(address="127.0.0.1:0", preset_file=file), None).preset.interval == 60 * SECOND_NS
    with pytest.raises(ConfigError, match="cannot read"):
        source_of(Listener(address="127.0.0.1:0", preset_file=tmp_path / "none.yaml"), None)
    with pytest.raises(ValidationError, match="there is no preset 'none'"):
        Listener(address="127.0.0.1:0", preset="none")


def test_messages_written_by_hand_are_the_published_ones():
    response = ExportMetricsServiceResponse.FromString(export_response(300, "300 points rejected: 300 negative"))
    assert response.partial_success.rejected_data_points == 300
    assert response.partial_success.error_message == "300 points rejected: 300 negative"
    assert export_response(0, "") == b""
    status = status_pb2.Status.FromString(rpc_status(14, "später", 2.5))
    assert (status.code, status.message) == (14, "später")
    retry = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(retry)
    assert (retry.retry_delay.seconds, retry.retry_delay.nanos) == (2, 500_000_000)
    assert not status_pb2.Status.FromString(rpc_status(3, "x")).details


def test_what_becomes_of_the_intakes_errors():
    assert not_stored(DecodeError("bad", hint="cut?")).text == "bad (cut?)"
    assert not_stored(DecodeError("bad")).reason is Reason.BAD_BODY
    assert not_stored(TimeoutError()).reason is Reason.BUSY
    assert not_stored(ServiceError("disk full")).reason is Reason.INTERNAL
    assert not_stored(ZeroDivisionError()).reason.is_retryable


def test_only_what_may_be_taken_later_is_retryable():
    retryable = {reason for reason in Reason if reason.is_retryable}
    assert retryable == {Reason.BUSY, Reason.INTERNAL, Reason.TOO_SLOW}
    assert {reason.http for reason in retryable} == {503} and {reason.grpc for reason in retryable} == {14}
    assert all(reason.http < 500 for reason in Reason if reason not in retryable)


def test_a_deadline_calls_only_for_who_is_late():
    deadlines = Deadlines(0.05)
    late, in_time = threading.Event(), threading.Event()
    try:
        with deadlines.over(late.set):
            assert late.wait(5)
        with deadlines.over(in_time.set):
            pass
        with deadlines.over(late.set):  # the thread goes on for others
            late.clear()
            assert late.wait(5)
        assert not in_time.is_set()
    finally:
        deadlines.close()


def test_a_source_of_which_nothing_is_taken_is_told_apart_from_one_that_is_read():
    tally = Tally()
    for _ in range(3):
        tally.store("otlp_http", 10, Counts(ignored=Counter(other_metric=50)), ("wrong", "c"))
        tally.store("otlp_http", 10, Counts(accepted=1, ignored=Counter(other_metric=50)), ("right", "c"))
    tally.store("otlp_http", 10, Counts(ignored=Counter(heartbeat=1)), ("wrong", "c"))
    tally.store("otlp_http", 10, Counts(rejected=Counter(negative=2)), ("right", "c"))
    unread = tally.snapshot(waiting_bodies=0, held_bytes=0, readings_evicted=0, clusters_forgotten=0).unread

    assert unread["wrong", "c"] == Unread(3, Counter(other_metric=150), True)
    assert unread["right", "c"] == Unread(1, Counter(negative=2), False)
