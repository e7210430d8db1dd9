import threading

import numpy as np
import pytest

from build import NGINX, Point, batch_of
from ebbtide.errors import ServiceError
from ebbtide.finding.verdict import Judgement, Verdict
from ebbtide.series import SECOND_NS
from ebbtide.store.reading import Grouping
from ebbtide.store.store import Store


def test_a_view_sees_what_is_committed_and_not_what_is_not():
    with Store.open() as store:
        origin = store.begin("test", "view")
        store.append(batch_of([Point(10, 1.0)]), origin)
        with store.view() as view:
            assert view.reading.senders(0, 100 * SECOND_NS).tolist() == [0]
            with store.transaction():
                store.append(batch_of([Point(20, 1.0, sender=NGINX.__class__("prod", "shop", "cart", "curl"))]), origin)
                assert view.reading.senders(0, 100 * SECOND_NS).tolist() == [0]
            assert view.reading.senders(0, 100 * SECOND_NS).tolist() == [0, 1]


def test_a_view_reads_moments_of_a_running_hour():
    grouping = Grouping(np.array([0], np.int32), np.array([0]), (NGINX,))
    with Store.open() as store:
        store.append(batch_of([Point(10, 1.0), Point(20, 3.0)]), store.begin("test", "view"))
        with store.view() as view:
            found = view.reading.moments(grouping, ("tcp.bytes",), 0, 30 * SECOND_NS, of="points", is_masked=False)

    assert found.mean.tolist() == [[2.0]]


def test_a_view_cannot_write():
    with Store.open() as store, store.view() as view, pytest.raises(ServiceError, match="cannot write"):
        view.findings.judge(Judgement("ab1", Verdict.ATTACK, "ann", "", 1))


def test_a_view_reads_in_another_thread_while_the_store_writes():
    seen: list[int] = []
    with Store.open() as store:
        origin = store.begin("test", "view")
        view = store.view()

        def read() -> None:
            with view:
                seen.extend(len(view.reading.senders(0, 10_000 * SECOND_NS)) for _ in range(50))

        thread = threading.Thread(target=read)
        thread.start()
        for second in range(1, 51):
            store.append(batch_of([Point(10 * second, 1.0)]), origin)
        thread.join()

    assert len(seen) == 50
    assert seen == sorted(seen)


def test_an_inner_transaction_belongs_to_the_outer_one():
    with Store.open() as store:
        origin = store.begin("test", "view")
        generation = store.generation
        with pytest.raises(ValueError, match="after all"), store.transaction():
            store.append(batch_of([Point(10, 1.0)]), origin)
            raise ValueError("not after all")

        assert store.totals() == {}
        assert store.dirty_hours == 0
        assert store.generation == generation + 1
        assert store.append(batch_of([Point(10, 1.0)]), origin).stored == 1
