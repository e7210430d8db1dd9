import dataclasses
import unicodedata

from finding_samples import CORRECTED, NEIGHBOUR, NGINX, NOON_NS, STRANGER, find, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.finding.assemble import Context
from ebbtide.finding.evidence import DestinationShare
from ebbtide.finding.headline import SCALED, headline, subject
from ebbtide.series import Entity


def said(values: dict[str, list[float]], context: Context | None = None, baseline: float = 1e3) -> str:
    [finding] = find(values, [[baseline] * 400] * len(values), context=context)
    return finding.headline


def test_bytes_connections_ratio_and_destination() -> None:
    assert sample().headline == (
        "nginx in shop/checkout sent 4.2 GB over 560 new connections in 7 min, 38 x its usual hour; "
        "97 % of it to 203.0.113.9, never seen before"
    )


def test_bytes_alone_without_what_is_not_known() -> None:
    assert said({"tcp.bytes": [1e6] * 8}) == "nginx in shop/checkout sent 8.0 MB in 4 min, up to 1,000 x its usual 30 s"


def test_bytes_of_both_protocols_are_summed() -> None:
    assert said({"tcp.bytes": [1e6] * 8, "udp.bytes": [1e6] * 8}).startswith(
        "nginx in shop/checkout sent 16 MB in 4 min"
    )


def test_packets_alone() -> None:
    assert said({"tcp.packets": [5e4] * 8}).startswith("nginx in shop/checkout sent 400,000 packets in 4 min")


def test_connections_alone() -> None:
    text = said({"tcp.new_sockets": [100] * 8}, baseline=10)
    assert text == "nginx in shop/checkout opened 800 new connections in 4 min, up to 10 x its usual 30 s"


def test_other_metrics_go_by_their_name() -> None:
    evidence = sample().evidence
    odd = dataclasses.replace(evidence.metrics[0], metric="tcp.retrans", unit="", total=12, usual_hour=None)
    text = headline(NGINX, dataclasses.replace(evidence, metrics=(odd,)), 60 * 10**9)
    assert text.startswith("nginx in shop/checkout showed 12 of tcp.retrans in 1 min")


def test_scaled_units_are_never_called_bytes() -> None:
    text = said({"tcp.bytes": [1e6] * 8, "tcp.packets": [1e6] * 8}, Context(unit=SCALED))
    assert "sent 8.0 million scaled units in 4 min" in text
    assert "B " not in text and "byte" not in text


def test_a_silent_past_has_no_ratio() -> None:
    assert said({"tcp.bytes": [1e6] * 8}, Context(usual_hour={NGINX: {"tcp.bytes": 0.0}})).endswith(
        "usually nothing at all"
    )
    assert said({"tcp.bytes": [1e6] * 8}, baseline=0).endswith("usually nothing at all")


def test_less_than_a_usual_hour_is_told_by_the_worst_bucket() -> None:
    text = said({"tcp.bytes": [1e6] * 8}, Context(usual_hour={NGINX: {"tcp.bytes": 1e9}}))
    assert text.endswith("up to 1,000 x its usual 30 s")


def test_a_new_place_is_told_beside_the_largest() -> None:
    places = (DestinationShare(STRANGER, 1e6, 0.125, None), DestinationShare(NEIGHBOUR, 7e6, 0.875, NOON_NS))
    text = said({"tcp.bytes": [1e6] * 8}, Context({NGINX: places}))
    assert text.endswith("; 88 % of it to shop/cart and 12 % to 203.0.113.9, never seen before")


def test_names_of_what_is_not_known() -> None:
    assert subject(Entity("c", "", "", "")) == "an unknown workload"
    assert subject(Entity("c", "", "", "sh")) == "sh in an unknown workload"


@settings(deadline=None)
@given(st.text(st.characters(), max_size=300), st.text(st.characters(), max_size=300))
def test_hostile_names_cannot_leave_the_line(process: str, place: str) -> None:
    entity = Entity("prod", place, "w", process)
    far = dataclasses.replace(STRANGER, workload=place)
    context = Context({entity: (DestinationShare(far, 1.0, 1.0, None),)})
    [finding] = find({"tcp.bytes": [1e6] * 8}, [[1e3] * 400], CORRECTED, entity, context=context)
    for text in (finding.headline, finding.message):
        assert not {unicodedata.category(char) for char in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(finding.headline) < 600
