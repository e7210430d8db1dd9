from ebbtide.store.progress import LateHour, Reach
from ebbtide.store.store import Store


def test_how_far_was_judged_is_kept_by_detection_and_cluster():
    with Store.open() as store:
        store.progress.save("d", ["a", "b"], Reach(20, 10))
        store.progress.save("d", ["b"], Reach(30, 20))

        assert store.progress.reached() == {("d", "a"): Reach(20, 10), ("d", "b"): Reach(30, 20)}


def test_what_was_noted_after_the_late_hours_were_read_is_not_settled_with_them():
    with Store.open() as store:
        store.progress.add_late([LateHour("a", 3), LateHour("a", 4)])
        read = store.progress.late()
        store.progress.add_late([LateHour("a", 3)])

        store.progress.settle(read)

        assert read.hours == (LateHour("a", 3), LateHour("a", 4))
        assert store.progress.late().hours == (LateHour("a", 3),)
