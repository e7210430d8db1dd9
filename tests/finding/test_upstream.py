import re
import statistics

import numpy as np
import pytest
from finding_samples import NOON_NS, UPSTREAM, baseline_of, find
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.detect.sigma import Sigma, SigmaOptions
from ebbtide.finding.assemble import findings
from ebbtide.finding.upstream import Exceedance, anomaly_text, number_text, upstream_row
from ebbtide.series import Entity, Window

NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?")
CHECKOUT = Entity("prod", "", "checkout", "nginx")


def test_a_text_is_to_the_letter() -> None:
    assert anomaly_text(Exceedance("udp.bytes", 401.0, 100.0, 100.0)) == (
        "udp.bytes higher than average by 3.01 Standard Deviations. "
        "udp.bytes=401 avg_udp.bytes=100 'stdev_udp.bytes'=100"
    )


def test_without_a_spread_the_number_of_deviations_is_null() -> None:
    assert anomaly_text(Exceedance("tcp.new_sockets", 1.0, 0.0, 0.0)) == (
        "tcp.new_sockets higher than average by Null Standard Deviations. "
        "tcp.new_sockets=1 avg_tcp.new_sockets=0 'stdev_tcp.new_sockets'=0"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e14, "100000000000000"), (1e15, "1e+15"), (1 / 3, "0.333333333333333"), (2.50, "2.5"), (1e-7, "1e-07")],
)
def test_numbers_have_fifteen_digits(value: float, text: str) -> None:
    assert number_text(value) == text


@settings(deadline=None)
@given(st.permutations(range(8)))
def test_a_row_does_not_depend_on_the_order_of_hits(order: list[int]) -> None:
    hits = [Exceedance(f"tcp.{i % 3}", float(i // 2), 0.0, 1.0) for i in range(8)]
    assert upstream_row(CHECKOUT, 8, [hits[i] for i in order]) == upstream_row(CHECKOUT, 8, hits)


def test_texts_are_distinct_and_sorted_and_the_count_is_not_theirs() -> None:
    row = upstream_row(CHECKOUT, 3, [Exceedance("b", 2, 1, 0), Exceedance("a", 2, 1, 0), Exceedance("b", 2, 1, 0)])
    assert row.count == 3
    assert [text[:2] for text in row.anomalies] == ["a ", "b "]
    assert list(row.as_fields()) == [
        "host",
        "source.workload.name",
        "source.process.name",
        "count",
        "anomalies",
    ]


def test_only_the_upstream_detection_carries_the_row() -> None:
    [finding] = find({"tcp.bytes": [500, 600, 700, 800, 900, 1000]}, [[90, 110] * 50], UPSTREAM, CHECKOUT)
    assert finding.upstream is not None
    assert (finding.upstream.host, finding.upstream.workload, finding.upstream.process) == ("prod", "checkout", "nginx")
    assert finding.upstream.count == 6
    assert finding.upstream.anomalies[0].startswith("tcp.bytes higher than average by 39.8 Standard Deviations. ")
    assert len(finding.upstream.anomalies) == 6
    assert finding.message.endswith("in kubernetes cluster prod")


def naive(now: list[tuple[int, str, int]], before: list[tuple[str, int]]) -> tuple[int, list[tuple[str, list[float]]]]:
    """The published search, step by step, for one process: its count, and its texts as (form, numbers)."""
    texts, count = set(), 0
    for bucket in sorted({second // 10 for second, _, _ in now}):
        for metric in ("tcp.bytes", "tcp.packets", "udp.bytes"):
            inside = [value for second, name, value in now if second // 10 == bucket and name == metric]
            usual = [value for name, value in before if name == metric]
            if not inside or not usual:
                continue
            x, mean = sum(inside) / len(inside), sum(usual) / len(usual)
            sd = statistics.stdev(usual) if len(usual) > 1 else 0.0
            sd = mean if metric.startswith("udp.") else sd
            if x > mean + 3 * sd:
                count += 1
                deviations = "Null" if sd == 0 else str(round((x - mean) / sd, 2))
                texts.add(
                    f"{metric} higher than average by {deviations} Standard Deviations. "
                    f"{metric}={x} avg_{metric}={mean} 'stdev_{metric}'={sd}"
                )
    return count, sorted(parted(text) for text in texts)


def parted(text: str) -> tuple[str, list[float]]:
    return NUMBER.sub("#", text), [float(number) for number in NUMBER.findall(text)]


POINT = st.tuples(st.sampled_from(["tcp.bytes", "tcp.packets", "udp.bytes"]), st.integers(0, 9))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 119), st.sampled_from(["tcp.bytes", "udp.bytes"]), st.integers(0, 60)), max_size=60
    ),
    st.lists(POINT, max_size=12),
)
def test_the_row_is_what_the_search_computes(now: list[tuple[int, str, int]], before: list[tuple[str, int]]) -> None:
    metrics = ("tcp.bytes", "tcp.packets", "udp.bytes")
    total, points = np.zeros((1, 3, 12)), np.zeros((1, 3, 12), np.int32)
    for second, metric, value in now:
        total[0, metrics.index(metric), second // 10] += value
        points[0, metrics.index(metric), second // 10] += 1
    window = Window((CHECKOUT,), metrics, NOON_NS, 10 * 10**9, total, points)
    baseline = baseline_of([[value for name, value in before if name == metric] for metric in metrics])
    anomalies = Sigma().score(window, baseline, SigmaOptions())
    found = findings(UPSTREAM, window, baseline, anomalies, NOON_NS)
    count, texts = naive(now, before)
    assert len(found) == (count > 5)
    if found:
        row = found[0].upstream
        assert row is not None
        assert row.count == count
        for (form, numbers), (naive_form, naive_numbers) in zip(sorted(map(parted, row.anomalies)), texts, strict=True):
            assert form == naive_form
            assert numbers[-3:] == pytest.approx(naive_numbers[-3:], rel=1e-12)
            # Rounded to two decimals, so a last bit may make a difference of 0.01.
            assert numbers[:-3] == pytest.approx(naive_numbers[:-3], abs=0.0101)
