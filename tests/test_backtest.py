from build import batch_of
from ebbtide.backtest import Backtest, instants, replay
from ebbtide.engine import evaluate
from ebbtide.finding.form import to_json
from ebbtide.series import HOUR_NS, SECOND_NS
from ebbtide.store.store import Store
from test_engine import CORRECTED, NOW_S, burst, quiet


def filled() -> Store:
    store = Store.open()
    points = quiet(until_s=NOW_S + 6 * 3600) + burst(end_s=NOW_S) + burst(end_s=NOW_S + 3600, to="198.51.100.7")
    store.append(batch_of(points), store.begin("import", "test"))
    store.roll_up()
    return store


def test_a_backtest_says_at_each_tick_what_detect_says_there():
    first, last = (NOW_S - 7200) * SECOND_NS, (NOW_S + 5 * 3600) * SECOND_NS
    with filled() as store:
        replayed = list(replay(store, CORRECTED, first, last, HOUR_NS // 2))
        alone = [evaluate(store, CORRECTED, now_ns) for now_ns in instants(first, last, HOUR_NS // 2)]

    assert len(replayed) == 15
    assert any(one.findings for one in replayed)
    for one, other in zip(replayed, alone, strict=True):
        assert (one.now_ns, one.scored, one.unscored) == (other.now_ns, other.scored, other.unscored)
        assert [to_json(finding) for finding in one.findings] == [to_json(finding) for finding in other.findings]


def test_one_matter_is_told_once_however_many_ticks_see_it():
    with filled() as store:
        result = Backtest(CORRECTED)
        for evaluation in replay(store, CORRECTED, NOW_S * SECOND_NS, (NOW_S + 6 * 3600) * SECOND_NS, HOUR_NS // 4):
            result.add(evaluation)

    assert result.fired > 1
    assert len(result.episodes) == 1
    assert result.noisiest() == [("prod/shop/checkout/nginx", 1)]
    assert result.ticks == 25


def test_the_grid_of_instants_is_that_of_the_epoch_and_has_both_ends():
    assert list(instants(20, 60, 20)) == [20, 40, 60]
    assert list(instants(21, 59, 20)) == [40]
    assert list(instants(41, 59, 20)) == []
