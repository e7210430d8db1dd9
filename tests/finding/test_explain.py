import dataclasses

import pytest
from finding_samples import CORRECTED, NOON_NS, UPSTREAM, find, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.detect.sigma import Sigma
from ebbtide.finding.evidence import HITS_KEPT, repeat
from ebbtide.finding.explain import explain, quiet_k
from ebbtide.series import Entity

TITLES = (
    "What:",
    "Who:",
    "How unusual:",
    "Since when:",
    "How much,",
    "To where:",
    "What would have kept it quiet:",
    "Risk:",
    "What now:",
)


def test_every_question_is_answered_in_order() -> None:
    lines = explain(sample(), CORRECTED)
    found = [next(i for i, line in enumerate(lines) if line.startswith(title)) for title in TITLES]
    assert found == sorted(found)
    assert lines[0] == sample().headline


@pytest.mark.parametrize(
    "line",
    [
        "Who: process nginx, workload checkout, namespace shop, cluster prod",
        "tcp.bytes: 300 MB in the worst bucket, 977.5 standard deviations above; mean 900 kB, deviation 306 kB, "
        "line 1.8 MB, from 400 points.",
        "tcp.bytes: 4.2 GB in 14 buckets, usually 110 MB an hour.",
        "203.0.113.9 (external): 4.1 GB, 97 %, never seen before (since 2023-12-11T12:00:00Z).",
        "shop/cart (internal): 126 MB, 3 %, first seen 2023-12-21T12:00:00Z.",
        "Risk: impact 50 x confidence 50 / 100 = 25 for workload prod/shop/checkout.",
        "ATT&CK: T1041 Exfiltration Over C2 Channel, Exfiltration",
        "the option more_than at 28 (it is 5)",
    ],
)
def test_a_line_says_what_the_evidence_holds(line: str) -> None:
    assert line in explain(sample(), CORRECTED)


def test_without_its_detection_or_destinations_it_still_explains() -> None:
    found = sample()
    bare = dataclasses.replace(found, evidence=dataclasses.replace(found.evidence, destinations=()))
    lines = explain(bare)
    assert any(line.startswith("To where: not known") for line in lines)
    assert not any(line.startswith("Status:") for line in lines)


def test_marks_are_told() -> None:
    lines = explain(sample(hidden_by=("quiet-backups",), is_late=True))
    assert any("Hidden by filter quiet-backups" in line for line in lines)
    assert any(line.startswith("Found late") for line in lines)


def test_scaled_units_are_never_called_bytes() -> None:
    found = sample()
    metrics = tuple(dataclasses.replace(one, unit="scaled units") for one in found.evidence.metrics)
    lines = explain(dataclasses.replace(found, evidence=dataclasses.replace(found.evidence, metrics=metrics)))
    text = "\n".join(line for line in lines[1:] if "tcp.bytes:" in line or "(external)" in line)
    assert "scaled units" in text
    assert " MB" not in text and " GB" not in text


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(3e3, 1e6), min_size=6, max_size=30), st.sampled_from(["metric_buckets", "buckets"]))
def test_with_the_k_it_names_the_detection_would_have_been_quiet(values: list[float], count: str) -> None:
    mine = UPSTREAM.model_copy(update={"options": UPSTREAM.options | {"count": count}})
    for finding in find({"tcp.bytes": values, "tcp.packets": values[::-1]}, [[500, 1500] * 50] * 2, mine):
        k = quiet_k(finding.evidence)
        assert k is not None
        for chosen, is_quiet in ((k, True), (k - 0.02, False)):
            options = dict(finding.evidence.options) | {"k": chosen}
            again = repeat(dataclasses.replace(finding.evidence, options=options), Sigma())
            assert ("does not fire" in again.differences) == is_quiet


def test_there_is_no_k_without_a_spread_or_a_full_record() -> None:
    [flat] = find({"tcp.bytes": [5e3] * 8}, [[1e3] * 400], UPSTREAM)
    assert quiet_k(flat.evidence) is None
    [long] = find({"tcp.bytes": [5e3] * (HITS_KEPT + 1)}, [[500, 1500] * 50], UPSTREAM)
    assert quiet_k(long.evidence) is None
    assert quiet_k(dataclasses.replace(sample().evidence, detector="other")) is None


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(), max_size=60))
def test_hostile_names_stay_on_their_line(name: str) -> None:
    [finding] = find({"tcp.bytes": [1e6] * 8}, [[1e3] * 400], entity=Entity(name, name, name, name))
    plain = explain(find({"tcp.bytes": [1e6] * 8}, [[1e3] * 400], entity=Entity("a", "a", "a", "a"))[0], CORRECTED)
    lines = explain(finding, CORRECTED)
    assert all("\n" not in line and "\r" not in line and "\x1b" not in line for line in lines)
    assert len(lines) == len(plain)
    assert finding.at_ns == NOON_NS
