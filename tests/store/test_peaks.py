import numpy as np

from ebbtide.series import HOUR_NS
from ebbtide.store.peaks import COLUMNS, touched
from learned_traffic import START_NS, learned, traffic


def test_an_hour_touches_the_day_after_it():
    assert touched({10}, 13) == [10, 11, 12]
    assert touched({10, 11}, 100) == list(range(10, 36))
    assert touched(set(), 5) == []


def test_the_peak_of_an_hour_is_its_largest_trailing_hour():
    with learned(2) as store:
        [row] = store.ask(
            f"SELECT {', '.join(COLUMNS)} FROM peaks WHERE entity = 0 AND hour = {START_NS // HOUR_NS + 30}"
        )
    sent = traffic(2)[0][0]
    hours = [sent[at - 11 : at + 1].sum() for at in range(30 * 12, 31 * 12)]

    assert np.float32(row[2]) == np.float32(np.log(max(hours) + 10e6))
