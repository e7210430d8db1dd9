"""The loop over hours and over files: what is skipped, replaced, told, and the same after any interruption."""

from __future__ import annotations

import gzip
import io
import json

import numpy as np
import pytest
from requests_of_decode import session

from build import Point, batch_of
from ebbtide.backfill.readings import Readings, hour_batch
from ebbtide.backfill.run import backfill_files, backfill_hours, hours_between, rows_of
from ebbtide.errors import UsageError
from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS, joined_batches
from ebbtide.store.store import Store

HOUR = 19_000 * 24
SENT = "container_net_tcp_bytes_sent_total"


class Minutely:
    """A counter that grows by `rate` each minute."""

    def __init__(self, rate: float = 1000) -> None:
        self.rate = rate
        self.asked: list[int] = []

    def hour(self, hour: int) -> list[Readings]:
        self.asked.append(hour)
        at = hour * 60 + np.arange(-10, 60, dtype=np.int64)
        labels = {"__name__": SENT, "container_id": "/k8s/shop/checkout-7d9c5b6f4-x2x9q/app"}
        return [Readings(labels, at * 60 * SECOND_NS, self.rate * (at - HOUR * 60 + 600))]


def run(store: Store, source: Minutely, hours: range, **options):
    return backfill_hours(store, session("coroot"), source, "prometheus here", hours, **options)


def test_hours_are_whole_and_over():
    now = HOUR * HOUR_NS + 4 * MINUTE_NS
    assert hours_between(now - 3 * HOUR_NS, now, now) == range(HOUR - 2, HOUR - 1)
    assert hours_between(now - 3 * HOUR_NS, now + HOUR_NS, now + MINUTE_NS) == range(HOUR - 2, HOUR)
    with pytest.raises(UsageError, match="whole hour"):
        hours_between(now - HOUR_NS, now, now)


def test_only_what_is_not_done_is_asked_for():
    with Store.open() as store:
        source, told = Minutely(), []
        run(store, source, range(HOUR, HOUR + 3))
        done = run(store, source, range(HOUR - 1, HOUR + 4), progress=told.append)
        assert source.asked == [HOUR, HOUR + 1, HOUR + 2, HOUR - 1, HOUR + 3]
        assert (done.hours, done.skipped, len(told)) == (2, 3, 5)
        again = run(store, Minutely(2000), range(HOUR, HOUR + 1), is_again=True)
        assert (again.stored, again.removed, again.as_object()["hours"]) == (60, 60, 1)
        assert store.ask(f"SELECT sent FROM hours WHERE hour = {HOUR}") == [(120_000.0,)]
        assert store.ask(f"SELECT sent FROM hours WHERE hour = {HOUR + 1}") == [(60_000.0,)]
        [counts] = store.ask("SELECT counts FROM provenance")
        assert json.loads(str(counts[0]))["accepted"] == 60


def test_every_point_is_told_where_live_data_are_kept():
    with Store.open() as store:
        source = Minutely()
        live = store.begin("live", "receivers")
        store.append(hour_batch(session("coroot"), source.hour(HOUR), HOUR * HOUR_NS, HOUR * HOUR_NS + MINUTE_NS), live)
        done = run(store, source, range(HOUR, HOUR + 2))
        assert done.dropped == {"kept_live": 60}
        assert done.counts.accepted == done.stored + done.dropped.total()


# -- files


def line(tick: int, value: int) -> str:
    labels = {
        "source.environment": "prod",
        "source.namespace.name": "shop",
        "source.workload.name": "checkout",
        "source.process.name": "nginx",
        "source.resolution_type": "K8S_CONTAINER",
        "dest.workload.name": "x",
    }
    at = (HOUR * 3600 + tick * 600) * 10**9
    point = {"startTimeUnixNano": str(at - 30 * 10**9), "timeUnixNano": str(at), "asInt": str(value),
             "attributes": [{"key": key, "value": {"stringValue": text}} for key, text in labels.items()]}  # fmt: skip
    sums = {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point]}
    metric = {"name": "tcp.bytes", "sum": sums}
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}) + "\n"


def files(tmp_path, scale: int = 1):
    """Two files that share an hour, one bad line, and one that is none."""
    first = tmp_path / "a.jsonl"
    first.write_text("".join(line(tick, scale * tick) for tick in range(1, 9)) + "{broken\n")
    second = tmp_path / "b.jsonl"
    second.write_text("".join(line(tick, scale * tick) for tick in range(9, 20)))
    return [first, second]


def bring(store: Store, paths, **options):
    bad: list[str] = []
    done = backfill_files(
        store, session("opentelemetry-network"), paths, "files", opened=lambda path: path.open("rb"),
        bad_line=lambda path, one: bad.append(f"{path.name}:{one.number}"), **options,
    )  # fmt: skip
    return done, bad


def test_files_replace_whole_hours_however_often(tmp_path):
    with Store.open() as store:
        done, bad = bring(store, files(tmp_path))
        told = store.ask("SELECT hour, points, sent FROM hours WHERE sent > 0 ORDER BY hour")
        assert told == [(HOUR, 5, 15.0), (HOUR + 1, 6, 51.0), (HOUR + 2, 6, 87.0), (HOUR + 3, 2, 37.0)]
        assert bad == ["a.jsonl:9"] and done.counts.rejected == {"bad_line": 1}
        assert done.hours == 4 and done.stored == 19
        bring(store, files(tmp_path, scale=10)[:1])  # stopped, or less: its hours are what it says
        again, _ = bring(store, files(tmp_path))
        assert again.removed >= 8
        assert store.ask("SELECT hour, points, sent FROM hours WHERE sent > 0 ORDER BY hour") == told


def test_a_file_that_is_none_is_noted_and_the_rest_goes_on(tmp_path):
    nothing = tmp_path / "c.jsonl.gz"
    nothing.write_bytes(gzip.compress(b"{}")[:12])
    with Store.open() as store:
        done, _ = bring(store, [nothing, tmp_path / "gone", *files(tmp_path)])
        assert [one.split(":")[0].rsplit("/", 1)[-1] for one in done.failed] == ["c.jsonl.gz", "gone"]
        assert done.stored == 19


def test_live_hours_are_replaced_in_parts_when_told(tmp_path):
    with Store.open() as store:
        live = store.begin("live", "receivers")
        for path in files(tmp_path, scale=5):
            for batch in session("opentelemetry-network").read(io.BytesIO(path.read_bytes())):
                store.append(batch, live)
        kept, _ = bring(store, files(tmp_path))
        assert kept.dropped == {"kept_live": 19} and kept.stored == 0
        done, _ = bring(store, files(tmp_path), is_live_replaced=True)
        assert (done.stored, done.removed) == (19, 19)
        assert sum(store.totals().values()) == sum(range(1, 20))


def test_batches_are_joined_and_cut():
    batches = [batch_of([Point(HOUR * 3600 + at, at)]) for at in range(1, 6)]
    assert [len(one) for one in joined_batches(iter(batches), 2)] == [2, 2, 1]
    part = rows_of(batch_of([Point(1, 1, to="a"), Point(2, 2, to="b")]), np.array([1]))
    assert len(part.series) == 1 and part.value.tolist() == [2] and part.ref.tolist() == [0]
