"""A made-up finding, to try a sink with: complete, plainly marked as a test, and about nobody."""

from __future__ import annotations

from ebbtide.deliver.sink import Delivery
from ebbtide.finding.annotations import Annotations, Technique
from ebbtide.finding.evidence import BaselineMoments, DestinationShare, Evidence, HitBucket, MetricEvidence
from ebbtide.finding.finding import Finding
from ebbtide.finding.lifecycle import Change
from ebbtide.finding.risk import Risk
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, Endpoint, EndpointClass, Entity

_DETECTION = "sink_test"


def sample(sink: str, now_ns: int, change: Change = Change.OPENED) -> Delivery:
    """A delivery for `sinks test`, as of `now_ns`; opened ten minutes ago. Tests of one minute share their uid."""
    minute_ns = now_ns // MINUTE_NS * MINUTE_NS
    uid = f"test-{sink}-{minute_ns // MINUTE_NS}"
    closed_ns = now_ns if change is Change.CLOSED else None
    return Delivery(f"{uid}/{change.value}", change, _finding(uid, minute_ns), now_ns, closed_ns, is_test=True)


def _finding(uid: str, now_ns: int) -> Finding:
    headline = "This is a test of Ebbtide: demo in ebbtide/sink-test sent nothing at all"
    message = "A test of a sink by its operator; nothing happened."
    technique = Technique("T1048", "Exfiltration Over Alternative Protocol", ("Exfiltration",))
    annotations = Annotations(
        (technique,), ("Actions on Objectives",), ("DE.AE",), ("CIS 13",), (), (), "Anomaly", "network"
    )
    return Finding(
        uid,
        _DETECTION,
        "Ebbtide Sink Test",
        "1.0.0",
        Entity("test", "ebbtide", "sink-test", "demo"),
        now_ns - 10 * MINUTE_NS,
        now_ns - MINUTE_NS,
        now_ns,
        headline,
        message,
        Risk(1.0, 10.0, 10.0, "test/ebbtide/sink-test", "other"),
        annotations,
        1,
        _evidence(now_ns),
    )


def _evidence(now_ns: int) -> Evidence:
    hit = HitBucket(now_ns - MINUTE_NS, 2e6, 1, 2e6)
    usual = BaselineMoments(1000, 1e5, 1e11, 0.0, 3e5)
    metric = MetricEvidence("tcp.bytes", "bytes", 2e6, 2e6, 1e5, 1e4, 1.3e5, usual, None, (hit,))
    place = DestinationShare(Endpoint(workload="203.0.113.9", kind=EndpointClass.EXTERNAL), 2e6, 1.0, None)
    hour_ns = now_ns // HOUR_NS * HOUR_NS
    return Evidence(
        "sigma",
        {},
        "1.0.0",
        now_ns - HOUR_NS,
        now_ns,
        MINUTE_NS,
        hour_ns - 30 * DAY_NS,
        hour_ns,
        False,
        1,
        (metric,),
        (place,),
    )
