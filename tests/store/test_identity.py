import numpy as np

from build import NGINX, Point, batch_of, series_of
from ebbtide.series import SECOND_NS
from ebbtide.store.identity import NOBODY, Identity
from ebbtide.store.store import Store

KNOWN = Point(100, 1)
INBOUND = Point(100, 1, sender=None, receiver=NGINX)


def test_numbers_are_dense_and_the_same_name_has_the_same_one():
    identity = Identity()

    first = identity.series([series_of(KNOWN), series_of(INBOUND), series_of(KNOWN)])

    assert first.tolist() == [0, 1, 0]
    assert identity.entities == [NGINX]
    assert identity.sender_of(first).tolist() == [0, NOBODY, 0]
    assert identity.receiver_of(first).tolist() == [NOBODY, 0, NOBODY]
    assert identity.metrics == ["tcp.bytes"]


def test_the_latest_end_of_a_series_never_goes_back():
    identity = Identity()
    numbers = identity.series([series_of(KNOWN)])

    identity.advance(numbers, np.array([50]))
    identity.advance(numbers, np.array([40]))

    assert identity.last_end(numbers).tolist() == [50]


def test_it_grows_past_its_first_size():
    identity = Identity()
    series = [series_of(Point(1, 1, label=str(at))) for at in range(3000)]

    assert identity.series(series).tolist() == list(range(3000))
    assert identity.sender_of(np.arange(3000, dtype=np.int32)).max() == 0


def test_what_is_read_back_is_what_was_known(tmp_path):
    path = tmp_path / "e.duckdb"
    with Store.open(path) as store:
        store.append(batch_of([KNOWN, INBOUND]), store.begin("import", "test"))
        before = store.identity

    with Store.open(path) as store:
        store.append(batch_of([Point(50, 1)]), store.begin("import", "again"))
        after = store.identity
        numbers = after.series([series_of(KNOWN), series_of(INBOUND)])

        assert (after.entities, after.endpoints, after.metrics) == (before.entities, before.endpoints, before.metrics)
        assert numbers.tolist() == [0, 1]
        assert after.last_end(numbers).tolist() == [100 * SECOND_NS, 100 * SECOND_NS]
