"""Two backtests beside each other: what appears, what disappears, and the command line says what the page says."""

import pytest

from build import NGINX, Point, batch_of
from ebbtide.backtest import Backtest, replay
from ebbtide.comparison import compare, comparison_object, with_options
from ebbtide.detect.catalogue import load
from ebbtide.errors import UsageError
from ebbtide.registry import DETECTORS
from ebbtide.series import HOUR_NS, SECOND_NS, Entity
from ebbtide.store.store import Store
from ebbtide.web.answers import BacktestAnswer
from ebbtide.web.tuning import Job, JobState, Range, command, comparison_of

DETECTION = load(DETECTORS).get("outbound_network_activity_from_process_corrected")
STRICT = with_options(DETECTION, {"more_than": 15}, DETECTORS)
REDIS = Entity("prod", "shop", "cache", "redis")
DAY_S = 20_000 * 86_400
SPAN = ((DAY_S + 24 * 3600) * SECOND_NS, (DAY_S + 48 * 3600) * SECOND_NS)


@pytest.fixture(scope="module")
def both() -> tuple[Backtest, Backtest]:
    """Two processes with a burst each, of 20 buckets and of 10: the strict one sees the first only."""
    points = []
    for sender, hour, buckets in ((NGINX, 30, 20), (REDIS, 42, 10)):
        points += [Point(DAY_S + at * 30, 1e5 + at % 7 * 1e4, sender=sender) for at in range(1, 48 * 120 + 1)]
        first = DAY_S + hour * 3600 - 1200
        points += [Point(first + at * 30, 5e7, sender=sender, to="203.0.113.9") for at in range(1, buckets + 1)]
    with Store.open() as store:
        store.append(batch_of(points), store.begin("import", "test"))
        store.roll_up()
        runs = []
        for detection in (DETECTION, STRICT):
            runs.append(Backtest(detection))
            for evaluation in replay(store, detection, *SPAN, HOUR_NS):
                runs[-1].add(evaluation)
    return runs[0], runs[1]


def test_a_stricter_option_removes_the_smaller_one(both):
    found = compare(*both, *SPAN)

    assert (found.appeared, len(found.disappeared), len(found.stayed)) == ((), 1, 1)
    assert found.disappeared[0].opened_ns > found.stayed[0].opened_ns
    assert sum(before for _, before, _ in found.days) == 2 and sum(after for *_, after in found.days) == 1
    back = compare(both[1], both[0], *SPAN)
    assert [one.headline for one in back.appeared] == [one.headline for one in found.disappeared]


def test_the_page_says_the_same_and_the_command_for_it(both):
    told = comparison_object(*both, *SPAN)
    job = Job("1", "tester", DETECTION, STRICT, Range(*SPAN, HOUR_NS), JobState.DONE, before=both[0], after=both[1])
    answer = BacktestAnswer.of(job, comparison_of(job)).model_dump(by_alias=True)

    assert {name: answer[name] for name in told} == told
    assert "--set more_than=15 --json" in command(job, "shop.duckdb")


def test_an_option_that_is_none_is_usage():
    with pytest.raises(UsageError, match="more_than"):
        with_options(DETECTION, {"more_than": "many"}, DETECTORS)
