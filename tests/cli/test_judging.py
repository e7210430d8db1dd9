import csv
import io
import json
from pathlib import Path

from ebbtide.store.store import Store


def test_detect_finds_the_burst_and_says_what_it_judged(ebbtide, db):
    ran = ebbtide("detect", "--db", db, "-d", "outbound_network_activity_from_process_corrected")

    assert ran.code == 0
    assert "1 entities sent something, 1 of their metrics judged" in ran.out
    assert "nginx in shop/checkout sent" in ran.out
    assert "203.0.113.9, never seen before" in ran.out


def test_detect_can_fail_a_pipeline(ebbtide, db):
    assert ebbtide("detect", "--db", db, "--fail-on-findings").code == 1


def test_the_upstream_finding_carries_upstreams_row(ebbtide, db):
    ran = ebbtide("detect", "--db", db, "-d", "kubernetes_anomalous_outbound_network_activity_from_process", "--json")

    [finding] = json.loads(ran.out)["findings"]
    row = finding["upstream"]
    assert list(row) == ["host", "source.workload.name", "source.process.name", "count", "anomalies"]
    assert (row["host"], row["source.workload.name"], row["source.process.name"]) == ("prod", "checkout", "nginx")
    assert row["count"] > 5
    assert row["anomalies"][0].startswith("tcp.bytes higher than average by ")
    assert finding["message"] == (
        "Kubernetes Anomalous Outbound Network Activity from Process in kubernetes cluster prod"
    )


def test_detect_at_a_quiet_time_finds_nothing_whatever_comes_later(ebbtide, db):
    ran = ebbtide("detect", "--db", db, "--at", "1764100000", "--json")

    assert json.loads(ran.out)["findings"] == []


def test_csv_is_a_table_without_formulas(ebbtide, db):
    rows = list(csv.DictReader(io.StringIO(ebbtide("detect", "--db", db, "--csv").out)))

    assert {row["workload"] for row in rows} == {"checkout"}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_why_says_what_would_have_fired(ebbtide, db):
    quiet = ebbtide("why", "checkout", "--db", db, "--at", "1764100000")
    fired = ebbtide("why", "checkout/nginx", "--db", db)

    assert "0 hits; more than 5 would fire" in quiet.out
    assert "fired:" in fired.out
    assert ebbtide("why", "nobody", "--db", db).code == 3


def test_times_that_are_no_times_are_usage(ebbtide, db):
    ran = ebbtide("detect", "--db", db, "--at", "yesterday")

    assert ran.code == 2
    assert "2024-01-10T12:00:00Z" in ran.err
    assert ebbtide("backtest", "--db", db, "--from", "1764200000", "--to", "1764100000").code == 2


def test_an_empty_store_says_what_to_do(ebbtide):
    Store.open(Path("empty.duckdb")).close()

    ran = ebbtide("detect", "--db", "empty.duckdb")

    assert ran.code == 3
    assert "ebbtide import" in ran.err
