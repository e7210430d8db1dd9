"""What follows from samples is brought up to date beside the writer, and after any failure."""

import threading

import numpy as np
import pytest

from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store import derivation, peaks
from ebbtide.store.check import check
from ebbtide.store.store import Store
from learned_traffic import START_NS, STEPS_PER_DAY, batch, learned, traffic

TABLES = (
    "hours",
    "days",
    "edges",
    "peaks",
    "day_maxima",
    "outbound_scores",
    "sent_mixes",
    "learned_days",
    "closed_days",
)
DAYS = 3


def rows(store: Store) -> dict[str, list[str]]:
    skip = {"hours": "* EXCLUDE (origin, revision)"}
    return {table: sorted(map(repr, store.ask(f"SELECT {skip.get(table, '*')} FROM {table}"))) for table in TABLES}


@pytest.fixture(scope="module")
def expected():
    with learned(DAYS) as store:
        return rows(store)


def test_batches_are_kept_while_hours_are_derived(expected):
    sent, received = traffic(DAYS)
    done = threading.Event()
    with Store.open() as store:
        origin = store.begin("import", "live")

        def derive() -> None:
            while not done.is_set():
                store.roll_up()

        thread = threading.Thread(target=derive)
        thread.start()
        step = STEPS_PER_DAY // 8
        order = np.random.default_rng(3).permutation(DAYS * 8)
        for part in order.tolist():
            at = slice(part * step, (part + 1) * step)
            store.append(batch(sent[:, at], received[:, at], START_NS + part * step * DAY_NS // STEPS_PER_DAY), origin)
        done.set()
        thread.join(120)
        assert not thread.is_alive()
        store.roll_up()

        assert rows(store) == expected
        assert check(store) == []


@pytest.mark.parametrize("room, name", [(peaks, "derive"), (derivation.LearnedDays, "close"), (peaks, "_peaks")])
def test_a_run_that_fails_is_done_by_the_next(expected, monkeypatch, room, name):
    sent, received = traffic(DAYS)
    original, calls = getattr(room, name), []

    def fails(*args, **kwargs):
        calls.append(1)
        if len(calls) == (1 if name == "derive" else 2):
            raise OSError("the disk is gone")
        return original(*args, **kwargs)

    with Store.open() as store:
        store.append(batch(sent, received), store.begin("import", "fails"))
        monkeypatch.setattr(room, name, fails)
        with pytest.raises(OSError, match="gone"):
            store.roll_up()
        store.roll_up()

        assert rows(store) == expected


def test_only_hours_that_have_passed_are_derived():
    sent, received = traffic(DAYS)
    with Store.open() as store:
        store.append(batch(sent, received), store.begin("import", "live"))
        store.roll_up(until_ns=START_NS + DAY_NS + 5 * HOUR_NS)

        assert store.ask("SELECT max(hour) FROM hours") == [((START_NS + DAY_NS) // HOUR_NS + 4,)]
        assert store.ask("SELECT max(hour) FROM peaks") == [((START_NS + DAY_NS) // HOUR_NS + 4,)]
        assert store.ask("SELECT max(day) FROM learned_days") == [(START_NS // DAY_NS,)]
        assert store.dirty_hours > 24
