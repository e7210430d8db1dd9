"""What the store learns is what the laboratory's stream learns from the same traffic, in whatever order it came."""

import numpy as np
import pytest

from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_scale_form import from_json, to_json
from ebbtide.detect.outbound_state import OutboundState
from ebbtide.lab.stream import close_days, hourly_peaks, score_history
from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.learned_days import LEAST_SCORE, joined_by_entity
from ebbtide.store.pairs import Pairs
from ebbtide.store.store import Store
from learned_traffic import FLEET, START_NS, STEP_S, STEPS_PER_DAY, batch, learned, traffic

DAYS = 17
FIRST_DAY = START_NS // DAY_NS
OPTIONS = OutboundOptions()


@pytest.fixture(scope="module")
def store():
    with learned(DAYS) as store:
        yield store


@pytest.fixture(scope="module")
def history():
    sent, received = traffic(DAYS)
    return close_days(hourly_peaks(sent, received, STEP_S, OPTIONS), OPTIONS)


def same(one: OutboundState, other: OutboundState) -> None:
    for name in OutboundState.__slots__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("day", [1, 2, 5, 13, DAYS])
def test_a_day_opens_with_the_state_of_the_stream(store, history, day):
    learning = store.outbound.learned
    pairs = learning.pairs(FIRST_DAY + day - 1)

    assert [store.identity.entities[at] for at in pairs.entity.tolist()] == list(FLEET)
    same(learning.state(pairs, FIRST_DAY + day), history.states[day])


def test_the_surprising_hours_are_those_of_the_stream(store, history):
    expected = score_history(history, shipped_models(), range(DAYS), OPTIONS)
    pairs, found = store.outbound.learned.scores(FIRST_DAY * 24, (FIRST_DAY + DAYS) * 24)

    assert len(pairs) == len(FLEET)
    for one, other in ((found.ratio, expected.ratio), (found.volume, expected.volume)):
        shown = np.maximum(expected.ratio, expected.volume) >= LEAST_SCORE
        np.testing.assert_allclose(one, np.where(shown, other, 0), rtol=1e-6)


def rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    tables = ("peaks", "day_maxima", "outbound_scores", "sent_mixes", "learned_days", "outbound_scales")
    return {table: sorted(map(repr, store.ask(f"SELECT * FROM {table}"))) for table in tables}


def differs(one: Store, other: Store) -> None:
    a, b = rows(one), rows(other)
    for table in a:
        for x, y in zip(a[table], b[table], strict=True):
            assert x == y, (table, x, y)


def test_neither_the_order_of_batches_nor_when_it_is_derived_changes_anything(store):
    sent, received = traffic(DAYS)
    half = DAYS // 2 * STEPS_PER_DAY
    with Store.open() as other:
        origin = other.begin("import", "second half first")
        late = batch(sent[:, half:], received[:, half:], START_NS + DAYS // 2 * DAY_NS)
        other.append(late, origin)
        other.roll_up()
        other.append(batch(sent[:, :half], received[:, :half]), origin)
        other.roll_up(until_ns=START_NS + 3 * DAY_NS + 5 * HOUR_NS)
        other.roll_up()

        differs(other, store)


def test_a_late_sample_learns_its_day_and_all_after_it_again(store):
    sent, received = traffic(DAYS)
    kept = sent.copy()
    kept[0, 7 * STEPS_PER_DAY + 30] = 0
    with learned(DAYS, sent=kept) as other:
        assert rows(other) != rows(store)
        missing = np.zeros_like(sent)
        missing[0, 7 * STEPS_PER_DAY + 30] = sent[0, 7 * STEPS_PER_DAY + 30]
        other.append(batch(missing, received * 0), other.begin("import", "late"))
        other.roll_up()

        differs(other, store)


def test_days_with_a_mask_are_not_learned_from():
    with learned(5) as store:
        learning = store.outbound.learned
        pairs = learning.pairs(FIRST_DAY + 4)
        before = learning.state(pairs, FIRST_DAY + 5)

        store.mask(FLEET[0], START_NS + 2 * DAY_NS + HOUR_NS, START_NS + 2 * DAY_NS + 2 * HOUR_NS, "attack")
        after = learning.state(pairs, FIRST_DAY + 5)

    assert np.isnan(after.maxima[0, :, -3]).all()
    assert np.isnan(after.hourly_volume[0, -3, 1])
    assert not np.isnan(after.hourly_volume[0, -3, 2])
    np.testing.assert_array_equal(after.maxima[1:], before.maxima[1:])


def test_a_scale_is_read_as_it_was_written(store):
    scale = store.outbound.learned.scale(FIRST_DAY + DAYS)

    assert not scale.is_own  # three entities are no fleet
    assert scale.entities == len(FLEET)
    assert to_json(from_json(to_json(scale))) == to_json(scale)
    assert scale.threshold(10.0) == pytest.approx(-2.4, abs=1e-3)
    assert scale.threshold(1.0) > scale.threshold(3.0) > scale.threshold(100.0)


def test_the_scores_of_an_entitys_metrics_are_joined():
    pairs = Pairs(np.array([1, 1, 4], np.int32), np.array([0, 2, 0], np.int32), np.ones(3))

    assert joined_by_entity(pairs, np.array([[1.0, 5], [2, 4], [9, 0]])).tolist() == [[2, 5], [9, 0]]


def test_floors_are_set_before_data_come_in(store):
    with Store.open() as empty:
        empty.set_floors({"tcp.bytes": 5.0})
        assert empty.floors == {"tcp.bytes": 5.0}
    with pytest.raises(Exception, match="before data"):
        store.set_floors({"tcp.bytes": 5.0})
