"""Live is backtest: whenever ticks happen, in whatever order data arrive, however often the process is started anew."""

import contextlib
import dataclasses
import random
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from build import NGINX, NOTHING_LEARNED, Point, batch_of
from ebbtide.agenda import Pace
from ebbtide.backtest import Backtest, replay
from ebbtide.deliver.sinks import load_sinks
from ebbtide.detect.detection import Detection
from ebbtide.engine import SHARD
from ebbtide.finding.filters import Filter, parse_matchers
from ebbtide.finding.form import to_json
from ebbtide.live import Clockwork, Outlet
from ebbtide.registry import DETECTORS
from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS
from ebbtide.store.store import Store
from test_engine import CORRECTED, UPSTREAM

OFTEN = CORRECTED.model_copy(update={"id": "often", "every_ns": 20 * MINUTE_NS, "lag_ns": 0})
CURL = dataclasses.replace(NGINX, process="curl")
OTHER = dataclasses.replace(NGINX, cluster="dev")
PATIENT = Pace(lateness_ns=10 * MINUTE_NS)
HOURS = 20
END_S = HOURS * 3600
Arrival = tuple[int, Point]


def traffic() -> list[Point]:
    """A day of three processes in two clusters; nginx bursts three times, once long after, curl once."""
    rng = random.Random(7)
    points = [
        Point(at_s, float(rng.randrange(200_000, 300_000)), sender=sender, span_s=30)
        for sender in (NGINX, CURL, OTHER)
        for at_s in range(30, END_S + 1, 30)
    ]
    bursts = [(NGINX, 7.4), (NGINX, 8.1), (NGINX, 15.7), (CURL, 9.2), (OTHER, 10.5)]
    points += [
        Point(round(hour * 3600) // 30 * 30 + 30 * at, 50e6, sender=sender, to="203.0.113.9", span_s=30)
        for sender, hour in bursts
        for at in range(12)
    ]
    return points


def in_order(points: Iterable[Point], delay_s: Callable[[Point], float] = lambda _: 0) -> list[Arrival]:
    """Points with the time at which they arrive, in the order in which they do."""
    return sorted(((round((p.end_s + delay_s(p)) * SECOND_NS), p) for p in points), key=lambda one: one[0])


@dataclasses.dataclass
class Run:
    """The service's part of a test: feeds what has arrived, ticks, and may begin anew with the same file."""

    detections: tuple[Detection, ...]
    path: Path | None = None
    shard_entities: int = SHARD
    restart_every: int = 0
    is_learning: bool = False
    pace: Pace = PATIENT

    def __call__(self, arrivals: list[Arrival], every_s: float, until_s: float = END_S + 3 * 3600) -> Store:
        store, clock = self._open()
        waiting = list(reversed(arrivals))
        for number in range(1, round(until_s / every_s)):
            now_ns = round(number * every_s * SECOND_NS)
            new = []
            while waiting and waiting[-1][0] <= now_ns:
                new.append(waiting.pop()[1])
            if new:
                store.append(batch_of(new), 1)
            ticked = clock.tick(now_ns)
            assert not ticked.failed
            if self.restart_every and number % self.restart_every == 0:
                store.close()
                store, clock = self._open()
        return store

    def _open(self) -> tuple[Store, Clockwork]:
        store = Store.open(self.path)
        if not self.is_learning:
            store.set_floors(NOTHING_LEARNED)
        return store, Clockwork(store, self.detections, pace=self.pace, shard_entities=self.shard_entities)


def told(store: Store, detection: Detection) -> dict[str, tuple[object, ...]]:
    """Every episode of a detection in full, by uid."""
    return {
        one.finding.uid: (to_json(one.finding), one.peak_count, one.closed_ns, one.reopened)
        for one in store.findings.all()
        if one.finding.detection_id == detection.id
    }


def expected(detection: Detection, until: dict[str, int]) -> dict[str, tuple[object, ...]]:
    """What a backtest over all of the data says of each cluster, up to the instant it was judged to."""
    found = {}
    with Store.open() as store:
        store.set_floors(NOTHING_LEARNED)
        store.append(batch_of(traffic()), store.begin("import", "test"))
        store.roll_up()
        for cluster, until_ns in until.items():
            result = Backtest(detection)
            for evaluation in replay(store, detection, 0, until_ns, detection.every_ns):
                evaluation.findings = [one for one in evaluation.findings if one.entity.cluster == cluster]
                result.add(evaluation)
            found |= {
                uid: (to_json(one.finding), one.peak_count, one.closed_ns, one.reopened)
                for uid, one in result.episodes.items()
            }
    return found


@pytest.fixture(scope="module")
def backtests() -> dict[tuple[str, tuple[tuple[str, int], ...]], dict[str, tuple[object, ...]]]:
    return {}


@pytest.fixture
def proves(backtests) -> Callable[..., None]:
    """Compares what a store holds with a backtest up to the same instants."""

    def compare(store: Store, *detections: Detection) -> None:
        for detection in detections:
            reached = store.progress.reached()
            until = {cluster: reach.judged_ns for (id, cluster), reach in reached.items() if id == detection.id}
            assert min(until.values()) >= (HOURS - 1) * HOUR_NS
            key = detection.id, tuple(sorted(until.items()))
            if key not in backtests:
                backtests[key] = expected(detection, until)
            assert len(backtests[key]) >= 3
            assert told(store, detection) == backtests[key]

    return compare


def test_ticks_in_time_say_what_a_backtest_says(proves):
    with Run((CORRECTED, OFTEN, UPSTREAM), is_learning=True)(in_order(traffic()), every_s=300) as store:
        proves(store, CORRECTED, OFTEN, UPSTREAM)


def test_the_order_of_arrival_within_the_lateness_changes_nothing(proves):
    rng = random.Random(3)
    shuffled = in_order(traffic(), lambda _: rng.uniform(0, 590))

    with Run((CORRECTED, OFTEN), shard_entities=1)(shuffled, every_s=197) as store:
        proves(store, CORRECTED, OFTEN)


def test_starting_anew_and_long_stops_change_nothing(proves, tmp_path):
    run = Run((CORRECTED, OFTEN), path=tmp_path / "live.duckdb", restart_every=1)

    with run(in_order(traffic()), every_s=5417) as store:
        proves(store, CORRECTED, OFTEN)


def test_a_bounded_tick_catches_up_in_order(proves):
    run = Run((CORRECTED, OFTEN), pace=dataclasses.replace(PATIENT, most=9))

    with run(in_order(traffic()), every_s=3600, until_s=END_S + 24 * 3600) as store:
        proves(store, CORRECTED, OFTEN)


def test_a_slow_cluster_holds_up_no_other_and_is_judged_the_same(proves):
    arrivals = in_order(traffic(), lambda point: 5400 if point.sender == OTHER else 0)

    with Run((CORRECTED, OFTEN))(arrivals, every_s=300, until_s=END_S + 900) as store:
        reached = store.progress.reached()
        assert reached["often", "prod"].judged_ns == END_S * SECOND_NS - 20 * MINUTE_NS
        assert reached["often", "dev"].judged_ns < END_S * SECOND_NS - 80 * MINUTE_NS
    with Run((CORRECTED, OFTEN))(arrivals, every_s=720) as store:
        proves(store, CORRECTED, OFTEN)


def minutes_of(store: Store, clock: Clockwork, first_s: int, last_s: int, points: list[Point]) -> list[str]:
    """Feed what ends in a span, and tick once at its end: what changed."""
    store.append(batch_of([one for one in points if first_s < one.end_s <= last_s]), 1)
    return sorted(clock.tick(last_s * SECOND_NS).changes.elements())


QUIET = [one for one in traffic() if one.value < 1e6 and one.sender == NGINX]
BURST = [Point(7 * 3600 + 30 * at, 50e6, to="203.0.113.9", span_s=30) for at in range(12)]


def test_data_that_come_after_their_hour_was_judged_are_judged_once_more_and_say_so():
    with Store.open() as store:
        clock = Clockwork(store, [CORRECTED])
        minutes_of(store, clock, 0, 10 * 3600, QUIET)
        store.append(batch_of(BURST), 1)

        assert clock.tick(10 * HOUR_NS + MINUTE_NS).changes == {"opened": 1}
        assert clock.tick(10 * HOUR_NS + 20 * MINUTE_NS).changes == {}
        [episode] = store.findings.all()
        assert episode.finding.is_late
        assert episode.finding.opened_ns == 7 * HOUR_NS
        assert store.progress.late().hours == ()
        assert store.progress.reached()[CORRECTED.id, "prod"].judged_ns == 10 * HOUR_NS


def test_late_hours_wait_in_the_store_and_those_of_yesterday_are_only_counted(tmp_path):
    with Store.open(tmp_path / "late.duckdb") as store:
        minutes_of(store, Clockwork(store, [CORRECTED]), 0, 10 * 3600, QUIET)
        store.append(batch_of(BURST), 1)
        store.append(batch_of([Point(40 * 3600, 1.0)]), 1)
    with Store.open(tmp_path / "late.duckdb") as store:
        ticked = Clockwork(store, [CORRECTED]).tick(40 * HOUR_NS)

    assert (ticked.late, ticked.too_old) == (0, 1)


class Faulty:
    """A detector that fails when told to."""

    name, options = "sigma", DETECTORS["sigma"].options

    def __init__(self) -> None:
        self.fails = True

    def score(self, window, baseline, options):
        if self.fails:
            raise RuntimeError("boom")
        return DETECTORS["sigma"].score(window, baseline, options)


def test_a_failing_detector_changes_nothing_is_told_and_tried_again():
    faulty = Faulty()
    with Store.open() as store:
        clock = Clockwork(store, [OFTEN], detectors={"sigma": faulty})

        store.append(batch_of(QUIET), 1)
        assert clock.tick(END_S * SECOND_NS).failed == {"often": "RuntimeError: boom"}
        assert store.progress.reached() == {}
        assert clock.judged["often"].error == "RuntimeError: boom"

        faulty.fails = False
        assert clock.tick(END_S * SECOND_NS + 1).failed == {}
        assert clock.judged["often"].error == ""
        assert len(store.progress.reached()) == 1


def test_a_failing_write_leaves_all_as_it_was_and_the_next_tick_does_it(monkeypatch):
    with Store.open() as store:
        clock = Clockwork(store, [CORRECTED])
        store.append(batch_of(QUIET + BURST), 1)
        monkeypatch.setattr(store.progress, "save", lambda *_: 1 / 0)
        assert "division" in clock.tick(END_S * SECOND_NS).failed[CORRECTED.id]
        assert store.findings.all() == []

        # The failed transaction has made a new `progress`, which works again.
        assert clock.tick(END_S * SECOND_NS).changes["opened"] == 1


def test_messages_wait_beside_the_findings_and_hidden_findings_tell_nothing():
    sinks = load_sinks("sinks: {file: {type: lines, path: '-'}}", "e.yaml", {}, str)
    with Store.open() as store:
        clock = Clockwork(store, [CORRECTED], outlet=Outlet(sinks, link="https://e/f/{uid}"))
        store.append(batch_of(QUIET + BURST), 1)
        clock.tick(END_S * SECOND_NS)
        assert [row.change for row in store.outbox.head("file", 9)] == ["opened", "closed"]
    with Store.open() as store:
        store.filters.save(Filter("known", parse_matchers('{workload="checkout"}'), "ann", "known", 0))
        store.append(batch_of(QUIET + BURST), 1)
        Clockwork(store, [CORRECTED], outlet=Outlet(sinks)).tick(END_S * SECOND_NS)
        assert store.outbox.head("file", 9) == []
        assert store.findings.all()[0].finding.hidden_by == ("known",)


def going_on(store: Store, hours: Iterable[float]) -> list[str]:
    """Ticks at these hours of a burst that lasts; what is queued then."""
    sinks = load_sinks("sinks: {file: {type: lines, path: '-'}}", "e.yaml", {}, str)
    clock = Clockwork(store, [CORRECTED], outlet=Outlet(sinks))
    for hour in hours:
        clock.tick(round(hour * HOUR_NS))
    return [row.change for row in store.outbox.head("file", 9)]


def lasting(strangers_from_hour: int = 99) -> list[Point]:
    """A burst of four hours from hour 14 on, that goes to other places too from some hour on."""
    burst = [dataclasses.replace(BURST[0], end_s=14 * 3600 + 30 * at) for at in range(1, 480)]
    return [
        dataclasses.replace(one, to="198.51.100.7" if one.end_s > strangers_from_hour * 3600 and at % 2 else one.to)
        for at, one in enumerate(burst)
    ]


def test_what_a_filter_hid_until_it_went_elsewhere_is_told_as_opened():
    with Store.open() as store:
        matchers = parse_matchers('{workload="checkout",destination=~"203.*|api.*"}')
        store.filters.save(Filter("known", matchers, "ann", "known", 0))
        store.append(batch_of(QUIET + lasting(strangers_from_hour=16)), 1)

        assert going_on(store, (15, 16)) == []
        assert going_on(store, (17,)) == ["opened"]


def test_what_a_filter_hid_until_it_ended_is_told_as_opened_once():
    with Store.open() as store:
        ends_ns = 16 * HOUR_NS + MINUTE_NS
        store.filters.save(Filter("known", parse_matchers('{workload="checkout"}'), "ann", "known", 0, ends_ns))
        store.append(batch_of(QUIET + lasting()), 1)
        assert going_on(store, (15, 16)) == []

        assert going_on(store, (16.1, 16.2, 16.3)) == ["opened"]
        assert store.findings.all()[0].finding.hidden_by == ()


def test_an_open_finding_of_a_cluster_that_is_gone_ends_a_day_later():
    burst = [dataclasses.replace(one, end_s=one.end_s + 12.5 * 3600) for one in BURST]
    with Store.open() as store:
        clock = Clockwork(store, [CORRECTED])
        store.append(batch_of(QUIET + burst), 1)

        assert clock.tick(END_S * SECOND_NS + HOUR_NS).changes == {"opened": 1}
        assert clock.tick(END_S * SECOND_NS + 24 * HOUR_NS).changes == {}
        assert clock.tick(END_S * SECOND_NS + 31 * HOUR_NS).changes == {"closed": 1}


def test_a_tick_that_is_told_to_stop_ends_after_the_evaluation_under_way():
    answers = iter([False, True, False])
    with Store.open() as store:
        clock = Clockwork(store, [OFTEN], is_stopping=lambda: next(answers, False))
        store.append(batch_of(QUIET), 1)
        ticked = clock.tick(END_S * SECOND_NS)
        assert (ticked.evaluations, ticked.is_behind) == (1, True)
        assert clock.tick(END_S * SECOND_NS).evaluations > 1


def test_judging_beside_a_thread_that_stores_and_fails_changes_nothing(proves):
    arrivals = in_order(traffic(), lambda point: hash(point.end_s) % 500)
    with Store.open() as store:
        clock = Clockwork(store, (CORRECTED, OFTEN))
        is_done = threading.Event()

        def write() -> None:
            for first in range(0, len(arrivals), 60):
                points = [point for _, point in arrivals[first : first + 60]]
                if first % 600 == 0:
                    with contextlib.suppress(ZeroDivisionError), store.transaction():
                        store.append(batch_of(points), 1)
                        raise ZeroDivisionError
                store.append(batch_of(points), 1)
            is_done.set()

        thread = threading.Thread(target=write)
        thread.start()
        while not is_done.is_set():
            assert clock.tick(END_S * SECOND_NS).failed == {}
        thread.join()
        # A tick is bounded: one that is behind goes on in the next.
        assert any(not clock.tick(END_S * SECOND_NS).is_behind for _ in range(50))
        proves(store, CORRECTED, OFTEN)
        assert store.progress.late().hours == ()


class Meddling(Faulty):
    """A detector during which the names are read back, once."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.stores: list[Store] = []

    def score(self, window, baseline, options):
        if self.stores:
            store = self.stores.pop()
            with contextlib.suppress(ZeroDivisionError), store.transaction():
                raise ZeroDivisionError
        return super().score(window, baseline, options)


def test_a_result_that_spans_a_failed_transaction_is_thrown_away_and_made_again():
    meddling = Meddling()
    with Store.open() as store:
        clock = Clockwork(store, [CORRECTED], detectors={"sigma": meddling})
        store.append(batch_of(QUIET + BURST), 1)
        meddling.stores.append(store)

        ticked = clock.tick(END_S * SECOND_NS)
        assert (ticked.superseded, ticked.is_behind, ticked.failed) == ({CORRECTED.id}, True, {})
        again = clock.tick(END_S * SECOND_NS)
        assert again.superseded == set()
        assert again.changes["opened"] == 1


def test_a_tick_that_is_behind_derives_no_further_than_it_judges():
    with Store.open() as store:
        clock = Clockwork(store, [CORRECTED], pace=dataclasses.replace(PATIENT, most=2))
        store.append(batch_of([Point(at, 1e5, span_s=30) for at in range(30, 6 * 3600 + 1, 30)]), 1)

        assert clock.tick(6 * HOUR_NS).is_behind
        assert store.progress.reached()[CORRECTED.id, NGINX.cluster].judged_ns == 2 * HOUR_NS
        assert store.ask("SELECT max(hour) FROM hours") == [(1,)]
        while clock.tick(6 * HOUR_NS).is_behind:
            pass
        assert store.ask("SELECT max(hour) FROM hours") == [(4,)]


def test_an_hour_is_derived_once_it_has_passed_the_watermark_though_a_lag_looks_ahead():
    with Store.open() as store:
        clock = Clockwork(store, [CORRECTED], pace=PATIENT)
        store.append(batch_of([Point(at, 1e5, span_s=30) for at in range(30, 2 * 3600 + 1, 30)]), 1)
        assert clock.tick(2 * HOUR_NS).evaluations == 2
        assert store.progress.reached()[CORRECTED.id, NGINX.cluster].judged_ns == 2 * HOUR_NS
        assert store.ask("SELECT DISTINCT hour FROM hours") == [(0,)]
        store.append(batch_of([Point(at, 1e5, span_s=30) for at in range(2 * 3600 + 30, 2 * 3600 + 660, 30)]), 2)
        assert clock.tick(2 * HOUR_NS + 11 * MINUTE_NS).evaluations == 0
        assert store.ask("SELECT DISTINCT hour FROM hours ORDER BY hour") == [(0,), (1,)]
