"""Pods with faults: read as samples, and nothing said of them. Skipped where the data are absent."""

import numpy as np
import pytest

from ebbtide.detect.catalogue import load
from ebbtide.errors import NoDataError
from ebbtide.lab.bitbrains import data_directory
from ebbtide.lab.nezha import Fault, measure_nezha, nezha_table, read_faults, read_pods
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, Batch, Endpoint, Entity, Series

CORRECTED = load(DETECTORS).get("outbound_network_activity_from_process_corrected")
CART = Entity("nezha", "shop", "cart", "server")


def shop(burst: float) -> Batch:
    """A day and six hours of one service, with a burst of half an hour after 26 hours."""
    end = 20_000 * DAY_NS + (np.arange(30 * 60, dtype=np.int64) + 1) * MINUTE_NS
    value = 1e5 + np.arange(len(end)) % 7 * 1e4
    value[26 * 60 : 26 * 60 + 30] += burst
    series = Series(1, "tcp.bytes", CART, None, Endpoint("nezha", "shop", "cart", "server"), Endpoint())
    return Batch((series,), np.zeros(len(end), np.int32), end - MINUTE_NS, end, value, np.full(len(end), np.nan))


def test_findings_are_counted_and_those_at_a_fault_told_apart():
    at_ns = 20_000 * DAY_NS + 26 * HOUR_NS
    near, far = Fault("cart", at_ns, "cpu"), Fault("cart", at_ns - 5 * HOUR_NS, "cpu")

    [quiet] = measure_nezha(shop(0), (near,), [CORRECTED])
    [found] = measure_nezha(shop(5e7), (near,), [CORRECTED])
    [elsewhere] = measure_nezha(shop(5e7), (far,), [CORRECTED])

    assert (quiet.findings, quiet.at_fault) == (0, 0) and quiet.judged > 50
    assert (found.findings, found.at_fault) == (1, 1)
    assert (elsewhere.findings, elsewhere.at_fault) == (1, 0)
    assert "| 1 | 1 |" in nezha_table((found,))


def test_without_data_it_says_so(tmp_path):
    with pytest.raises(NoDataError, match="pods"):
        read_pods(tmp_path)


def test_pods_are_read_by_their_workload_and_their_own_time():
    try:
        batch = read_pods(data_directory())
    except NoDataError as missing:
        pytest.skip(f"{missing} ({missing.hint})")
    entities = {one.sender or one.receiver for one in batch.series}
    assert {one.workload for one in entities} >= {"frontend", "adservice", "productcatalogservice"}
    assert len(entities) == 10  # a rollout gave one a second pod
    assert int(batch.end_ns.max() - batch.end_ns.min()) < 2 * DAY_NS
    assert len(read_faults(data_directory())) == 56
