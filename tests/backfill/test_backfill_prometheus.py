"""Real servers, and scripted ones: what is asked, what is understood, and that stopping changes no byte."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ebbtide.backfill.peer import Peer, TooLarge
from ebbtide.backfill.prometheus import LOOKBACK_NS, Source, find_source, selectors_of
from ebbtide.backfill.run import backfill_hours
from ebbtide.decode.preset import load_preset, parse_preset
from ebbtide.decode.session import Session
from ebbtide.deliver.backoff import Retry
from ebbtide.errors import DataError, DecodeError, EbbtideError, UsageError
from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS
from ebbtide.store.check import check
from ebbtide.store.store import Store
from metrics_servers import (
    FIRST,
    HOURS,
    PODS,
    SENT,
    Scripted,
    matrix,
    prometheus,
    readings,
    say,
    sent_of,
    victoria_metrics,
)

COROOT = load_preset("coroot")
TABLES = ("days", "edges", "peaks", "day_maxima", "coverage")
QUERIES = {"hours": "* EXCLUDE (origin, revision)", **dict.fromkeys(TABLES, "*")}


def exported(store: Store) -> dict[str, list[str]]:
    rows = {name: sorted(map(repr, store.ask(f"SELECT {what} FROM {name}"))) for name, what in QUERIES.items()}
    for table in ("hours", "days", "edges"):
        parts = [part.drop_columns([c for c in ("origin", "revision") if c in part.column_names])
                 for part in store.export(table)]  # fmt: skip
        rows[f"exported {table}"] = [repr(part.to_pydict()) for part in parts]
    return rows


class Breaking:
    """A source that fails at some hours, once each."""

    def __init__(self, source: Source, at: set[int]) -> None:
        self.source, self.at = source, at

    def hour(self, hour: int):
        if hour in self.at:
            self.at.remove(hour)
            raise DataError("the wire was cut")
        return self.source.hour(hour)


def run(store: Store, source, hours=range(FIRST, FIRST + HOURS), **options):
    return backfill_hours(store, Session(COROOT), source, "prometheus test", hours, **options)


def proven(url: str, how: str) -> None:
    """One uninterrupted run against by hand; one that breaks twice, and is run three times in full after."""
    source = find_source(Peer.of(url, timeout_s=60), COROOT)
    assert source.how == how
    with Store.open() as whole, Store.open() as broken:
        done = run(whole, source)
        points = [len(time_s) for _, time_s, _ in readings()]
        assert done.counts.received == done.stored == sum(points)
        assert done.firsts == 4 and done.hours == HOURS and not done.dropped
        told = dict(whole.ask("SELECT hour, sum(sent) FROM hours GROUP BY hour"))
        sent = [one for one in readings() if one[0]["__name__"] == SENT]
        for hour in (FIRST, FIRST + 3, FIRST + HOURS // 2, FIRST + HOURS - 1):
            assert told[hour] == sum(sent_of(time_s, total, hour) for _, time_s, total in sent)

        cut = set(random.Random(7).sample(range(FIRST + 1, FIRST + HOURS), 2))
        breaking = Breaking(source, set(cut))
        for _ in cut:
            with pytest.raises(DataError, match="cut"):
                run(broken, breaking)
        last = run(broken, breaking)
        assert last.skipped == max(cut) - FIRST and last.hours == HOURS - last.skipped
        for _ in range(3):
            again = run(broken, breaking, is_again=True)
            assert again.removed == again.stored == sum(points)
        assert exported(broken) == exported(whole)
        assert check(broken) == check(whole) == []


def test_victoria_metrics_exports(tmp_path):
    with victoria_metrics(tmp_path) as url:
        proven(url, "export")
        # The range API of the same server gives the same samples.
        peer = Peer.of(url)
        [one, other] = [Source(peer, how, selectors_of(COROOT)).hour(FIRST + 2) for how in ("export", "samples")]
        assert [a.labels for a in one] == [b.labels for b in other]
        assert all(np.array_equal(a.value, b.value) for a, b in zip(one, other, strict=True))


def test_prometheus_gives_its_samples(tmp_path):
    with prometheus(tmp_path) as url:
        proven(url, "samples")
        peer = Peer.of(url)
        only = find_source(peer, COROOT, ['container_id=~".*checkout.*"'])
        assert len(only.hour(FIRST + 2)) == 2
        small = Source(Peer.of(url, body_bytes=4000), "samples", selectors_of(COROOT))
        whole = find_source(peer, COROOT).hour(FIRST + 2)
        assert [one.value.tolist() for one in small.hour(FIRST + 2)] == [one.value.tolist() for one in whole]
        stepped = find_source(peer, COROOT, step_ns=MINUTE_NS).hour(FIRST + 2)
        assert {len(one.end_ns) for one in stepped} == {70}
        assert all((one.end_ns % MINUTE_NS == 0).all() for one in stepped)


def quick(server: Scripted) -> Peer:
    return Peer.of(server.url, retry=Retry(attempts=2), sleep=lambda _: None, timeout_s=5)


@pytest.mark.parametrize(
    "body",
    [b"<html>", b'{"status":"success","data":{"resultType":"vector","result":[]}}', b'{"status":"success"', b"[]",
     b'{"status":"error","error":"no"}', b'{"status":"success","isPartial":true,"data":{"resultType":"matrix"}}',
     b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"x"]]}]}}'],
)  # fmt: skip
def test_what_is_no_answer_stops_the_run_and_it_goes_on_later(body):
    good = matrix(FIRST, {PODS[0]: [1.0, 5, 9, 20, 30]})
    selectors = selectors_of(COROOT)[:1]
    with Scripted(say(200, good), say(200, body), say(200, good)) as server, Store.open() as store:
        source = Source(quick(server), "samples", selectors)
        with pytest.raises(DataError) as error:
            run(store, source, range(FIRST, FIRST + 2))
        assert "same command" in error.value.hint
        assert run(store, source, range(FIRST, FIRST + 2)).skipped == 1
        assert store.ask("SELECT sum(sent) FROM hours") == [(25.0,)]


def test_lines_of_an_export_that_are_none():
    for body in (b"{", b'{"metric":{},"values":[1,2],"timestamps":[1]}', b'{"metric":{"a":1}}'):
        with Scripted(say(200, body)) as server, pytest.raises(DecodeError, match="something else"):
            Source(quick(server), "export", ("{}",)).hour(FIRST)
    line = b'{"metric":{"a":"b"},"values":[1,null,"Infinity"],"timestamps":[%d,%d,%d]}'
    at = [FIRST * 3_600_000 + 1000 * tick for tick in range(3)]
    with Scripted(say(200, line % tuple(at))) as server:
        [one] = Source(quick(server), "export", ("{}",)).hour(FIRST)
        assert np.array_equal(one.value, [1, np.nan, np.inf], equal_nan=True)
        assert one.end_ns[1] - one.end_ns[0] == SECOND_NS


def test_too_much_in_a_minute_is_said():
    with Scripted(say(422, b"query processing would load too many samples")) as server:
        with pytest.raises(TooLarge, match="one minute") as error:
            Source(quick(server), "samples", ("{}",)).hour(FIRST)
        assert "--match" in error.value.hint


def test_selectors_are_the_names_prometheus_can_have():
    assert selectors_of(load_preset("obi"), ['a="b"'])[0] == '{__name__="obi_network_flow_bytes_total",a="b"}'
    assert not any("." in one for one in selectors_of(load_preset("obi")))
    for bad in ("a", 'a="', 'a="b"} or {x="', "a=b", 'a="b",c="d"'):
        with pytest.raises(UsageError, match="matcher"):
            selectors_of(COROOT, [bad])
    dotted = parse_preset("extends: coroot\nmetrics: [{name: a.b, to: tcp.bytes}]\n")
    with pytest.raises(UsageError, match="no metric"):
        selectors_of(dotted)


def test_a_step_is_for_counters_and_divides_an_hour():
    with Scripted(say(200)) as server:
        with pytest.raises(UsageError, match="divide"):
            find_source(quick(server), COROOT, step_ns=7 * MINUTE_NS)
        with pytest.raises(UsageError, match="since the last sample"):
            find_source(quick(server), load_preset("opentelemetry-network"), step_ns=MINUTE_NS)
    assert LOOKBACK_NS < HOUR_NS


def test_a_server_that_refuses_us_is_told_before_anything_is_opened():
    with Scripted(say(401, b"who are you")) as server, pytest.raises(EbbtideError, match="401"):
        find_source(quick(server), COROOT)
