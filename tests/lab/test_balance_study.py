"""The study of changed roles: `ebbtide.lab.balance_study`."""

import numpy as np
import pytest

from ebbtide.baseline.trailing_statistics import HOURS
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.lab.balance_study import (
    RULES,
    Ground,
    balance,
    record_surprise,
    records,
    role_surprise,
    rows_of,
    scores_of,
)
from ebbtide.lab.bench import OutboundBench
from ebbtide.lab.traffic import Traffic

DAYS = 91


def fleet(sent: float, received: float, loud: tuple[int, float] | None = None) -> Traffic:
    """Twelve machines with the same hours but for some chance; `loud`: an hour and what the first one sends then."""
    random = np.random.default_rng(3)
    shape = (12, DAYS * 288)
    out, back = (rate / 12 * random.lognormal(0.0, 0.3, shape) for rate in (sent, received))
    if loud is not None:
        out[0, loud[0] * 12 : loud[0] * 12 + 12] = loud[1] / 12
    return Traffic(tuple(f"m{at}" for at in range(12)), out, back, 0, 300)


def test_the_record_of_a_day_is_the_largest_hour_of_the_thirty_days_before_it():
    hours = np.zeros((1, 33 * HOURS))
    hours[0, 5], hours[0, 31 * HOURS] = 2.0, 9.0

    assert np.isinf(records(hours)[0, :30]).all()
    assert records(hours)[0, 30:].tolist() == [2.0, 0.0, 9.0]  # day 31 knows neither itself nor day 0


def test_a_role_changes_only_where_the_sign_was_never_seen():
    now, record = np.array([[1.5, 1.5, -0.1]]), np.array([[-1.0, 0.5, -1.0]])

    assert np.isfinite(role_surprise(now, record)).tolist() == [[True, False, False]]
    assert np.isfinite(record_surprise(now, record)).tolist() == [[True, True, True]]


def test_twice_the_factor_is_a_quarter_as_likely():
    once, twice = record_surprise(np.log(np.array([[2.0, 4.0]])), np.zeros((1, 2)))[0]

    assert twice - once == pytest.approx(np.log(4))


def test_a_client_that_begins_to_push_is_seen_and_a_server_that_pushes_is_not():
    hour = 70 * HOURS + 5
    client, server = (
        scores_of(*RULES["begins to push or serve"], fleet(sent, received, (hour, 5e9)))
        for sent, received in ((1e6, 50e6), (50e6, 1e6))
    )

    assert np.argwhere(np.isfinite(client)).tolist() == [[0, hour]]
    assert not np.isfinite(server).any()
    assert balance(np.array([3e6]), np.array([3e6])) == [0.0]


def test_each_rule_has_a_row_by_itself_and_one_with_outbound():
    bench = OutboundBench.run(fleet(20e6, 60e6), OutboundOptions())
    rows = rows_of(Ground.of(bench, 1))

    assert [row[0] for row in rows][:2] == ["outbound alone", "begins to push or serve, alone"]
    assert len(rows) == 1 + 2 * len(RULES)
    alone = {row[0]: (float(row[2]), int(row[3])) for row in rows}
    assert alone["outbound alone"][1] == 0
    assert alone["begins to push or serve, alone"][0] > 0.3
