"""Edges: nothing is lost in folding, and points say who sent to whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ebbtide.meter.edge import EdgeLimits, points_of, sum_edges
from ebbtide.meter.flow import MAPPED_PREFIX, Flow, FlowKey, FlowValue, Opener, Protocol
from ebbtide.meter.place import Place
from ebbtide.series import EndpointClass


def local(key):
    return Place(
        EndpointClass.HOST, "PROCESS", "node1", f"unit{key.cgroup}", key.name.decode(), path="/bin/x", sha256="ab"
    )


def remote(key):
    return Place(EndpointClass.EXTERNAL, "IP", ip=key.address)


def flow(number=1, *, name=b"curl", cgroup=1, opener=Opener.LOCAL, protocol=Protocol.TCP, port_class=3, **value):
    packed = MAPPED_PREFIX + (0x08000000 + number).to_bytes(4, "big")
    return Flow(FlowKey(cgroup, packed, 7, protocol, opener, port_class, name), FlowValue(**value))


def points(flows, limits=EdgeLimits()):  # noqa: B008
    return [
        (point.metric, point.value, dict(point.attributes))
        for point in points_of(sum_edges(flows, local, remote, limits).sums)
    ]


def test_both_directions_have_the_sender_as_source():
    sent, received = points([flow(tx_bytes=10, rx_bytes=4)])
    assert (sent[0], sent[1], received[1]) == ("tcp.bytes", 10, 4)
    assert (sent[2]["source.workload.name"], sent[2]["dest.ip"]) == ("unit1", "8.0.0.1")
    assert (received[2]["dest.workload.name"], received[2]["source.ip"]) == ("unit1", "8.0.0.1")
    assert (sent[2]["ebbtide.reporter"], received[2]["ebbtide.reporter"]) == ("source", "dest")
    assert sent[2]["source.process.executable.path"] == received[2]["dest.process.executable.path"] == "/bin/x"


def test_the_opener_and_the_port_are_said_for_each_direction():
    sent, received = points([flow(tx_bytes=1, rx_bytes=1)])
    assert (sent[2]["connection.opener"], sent[2]["dest.port.class"]) == ("source", "https")
    assert (received[2]["connection.opener"], received[2]["source.port.class"]) == ("dest", "https")


def test_a_socket_belongs_to_the_side_that_opened_it():
    (opened,) = points([flow(sockets=3)])
    assert (opened[0], opened[1], opened[2]["source.workload.name"]) == ("tcp.new_sockets", 3, "unit1")
    (accepted,) = points([flow(sockets=2, opener=Opener.REMOTE)])
    assert (accepted[2]["dest.workload.name"], accepted[2]["connection.opener"]) == ("unit1", "source")


def test_udp_has_its_own_names_and_zero_is_absent():
    found = points([flow(protocol=Protocol.UDP, tx_bytes=5, tx_packets=1)])
    assert [(metric, value) for metric, value, _ in found] == [("udp.bytes", 5), ("udp.packets", 1)]


def test_rows_of_one_edge_are_summed():
    assert points([flow(tx_bytes=1), flow(tx_bytes=2)])[0][1] == 3


def test_the_heaviest_destinations_keep_their_rows():
    flows = [flow(number, tx_bytes=number) for number in range(1, 11)]
    found = points(flows, EdgeLimits(per_process=3))
    by_place = {attributes.get("dest.ip", attributes["dest.workload.name"]): value for _, value, attributes in found}
    assert by_place == {"8.0.0.10": 10, "8.0.0.9": 9, "8.0.0.8": 8, "(other)": 28}


def test_folding_keeps_the_kind_and_the_opener():
    flows = [flow(number, tx_bytes=1, sockets=1) for number in range(100)]
    folded = [one for one in points(flows, EdgeLimits(per_process=1)) if one[2]["dest.workload.name"] == "(other)"]
    assert {(one[2]["dest.class"], one[2]["connection.opener"]) for one in folded} == {("external", "source")}


FLOWS = st.lists(
    st.builds(
        flow,
        st.integers(0, 30),
        name=st.sampled_from([b"a", b"b", b"c"]),
        cgroup=st.integers(1, 8),
        opener=st.sampled_from(Opener),
        protocol=st.sampled_from(Protocol),
        tx_bytes=st.integers(0, 1 << 40),
        rx_packets=st.integers(0, 1 << 30),
        sockets=st.integers(0, 1000),
    ),
    max_size=60,
)


@given(FLOWS, st.integers(1, 5), st.integers(2, 20))
def test_folding_moves_counts_and_never_drops_them(flows, per_process, total):
    found = points(flows, EdgeLimits(per_process, total))
    for metric, field in (("bytes", "tx_bytes"), ("packets", "rx_packets"), ("new_sockets", "sockets")):
        before = sum(getattr(one.value, field) for one in flows)
        assert sum(value for name, value, _ in found if name.endswith(metric)) == before


@given(FLOWS, st.integers(2, 12))
def test_the_number_of_edges_is_bounded(flows, total):
    sums = sum_edges(flows, local, remote, EdgeLimits(50, total)).sums
    assert len(sums) <= total + len(Protocol)
