"""What the meter sends is what the decoder's preset `ebbtide-meter` reads: each byte sent once and received once."""

from collections import Counter

from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from ebbtide.decode.preset import load_preset
from ebbtide.decode.session import Session
from ebbtide.meter.edge import Edge, points_of
from ebbtide.meter.flow import FlowValue, Opener, Protocol
from ebbtide.meter.otlp import Interval, encode
from ebbtide.meter.place import Place
from ebbtide.series import SECOND_NS, EndpointClass, Entity

NGINX = Place(EndpointClass.INTERNAL, "K8S_CONTAINER", "shop", "checkout", "nginx", "server", "checkout:v1.4.2")
REDIS = Place(EndpointClass.INTERNAL, "K8S_CONTAINER", "shop", "cart", "redis-server", "redis", "redis:7")
OUTSIDE = Place(EndpointClass.EXTERNAL, "DNS", dns_name="api.example.com", ip="203.0.113.9")
INTERVAL = Interval(1_764_000_000 * SECOND_NS, 1_764_000_010 * SECOND_NS)


def edge(local: Place, remote: Place, opener: Opener) -> Edge:
    return Edge(local, remote, Protocol.TCP, opener, "https")


def bodies() -> list[bytes]:
    """Ten seconds of nginx, which asks redis on the same node (both ends are seen) and an address outside."""
    edges = {
        edge(NGINX, REDIS, Opener.LOCAL): FlowValue(tx_bytes=700, tx_packets=7, rx_bytes=90, rx_packets=6, sockets=1),
        edge(REDIS, NGINX, Opener.REMOTE): FlowValue(tx_bytes=90, tx_packets=6, rx_bytes=700, rx_packets=7, sockets=1),
        edge(NGINX, OUTSIDE, Opener.LOCAL): FlowValue(tx_bytes=48_211, tx_packets=40, rx_bytes=512, sockets=2),
    }
    resource = (("host.name", "node-1"), ("k8s.cluster.name", "prod"))
    return [body.data for body in encode(points_of(edges), INTERVAL, resource, "0.1.0")]


def totals(side: str) -> Counter[tuple[str, str]]:
    """What each entity sent or received, by metric."""
    session = Session(load_preset("ebbtide-meter"))
    found: Counter[tuple[str, str]] = Counter()
    for body in bodies():
        batch = session.decode("otlp_proto", body)
        for row, at in enumerate(batch.ref.tolist()):
            entity = getattr(batch.series[at], side)
            if entity is not None:
                found[entity.process, batch.series[at].metric] += batch.value[row]
    return found


def test_each_byte_is_sent_once_and_received_once():
    assert totals("sender") == {
        ("nginx", "tcp.bytes"): 700 + 48_211, ("nginx", "tcp.packets"): 47, ("nginx", "tcp.new_sockets"): 3,
        ("redis-server", "tcp.bytes"): 90, ("redis-server", "tcp.packets"): 6,
    }  # fmt: skip
    assert totals("receiver") == {
        ("nginx", "tcp.bytes"): 90 + 512, ("nginx", "tcp.packets"): 6,
        ("redis-server", "tcp.bytes"): 700, ("redis-server", "tcp.packets"): 7, ("redis-server", "tcp.new_sockets"): 1,
    }  # fmt: skip


def test_entities_and_destinations_keep_their_names():
    [batch] = [Session(load_preset("ebbtide-meter")).decode("otlp_proto", body) for body in bodies()]

    assert {one.sender for one in batch.series} == {
        None, Entity("prod", "shop", "checkout", "nginx"), Entity("prod", "shop", "cart", "redis-server")
    }  # fmt: skip
    [outside] = {one.destination for one in batch.series if one.destination.kind is EndpointClass.EXTERNAL}
    assert outside.workload == "api.example.com"


def test_the_golden_payload_is_what_the_meter_sends(request):
    golden = request.config.rootpath / "tests" / "decode" / "golden" / "ebbtide-meter" / "payload.jsonl"
    lines = [MessageToJson(ExportMetricsServiceRequest.FromString(body), indent=None) for body in bodies()]

    assert golden.read_text("utf-8").splitlines() == lines
