from build import Point, batch_of
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS
from ebbtide.service.backups import Backups
from ebbtide.store.store import Store

NOW = 20_000 * DAY_NS


def test_one_is_made_when_the_newest_is_old_and_the_newest_few_are_kept(tmp_path):
    (tmp_path / "mine.duckdb").write_text("untouched")
    with Store.open() as store:
        store.append(batch_of([Point(10, 1.0)]), 1)
        backups = Backups(tmp_path, DAY_NS, keep=2)
        made = [backups.make_if_due(store, NOW + hour * HOUR_NS) for hour in range(0, 73)]

        assert [at for at, one in enumerate(made) if one] == [0, 24, 48, 72]
        assert backups.files() == [made[48], made[72]]
        assert Backups(tmp_path, DAY_NS, keep=2).make_if_due(store, NOW + 73 * HOUR_NS) is None
    with Store.open(made[72]) as copy:
        assert sum(copy.totals().values()) == 1.0
    assert (tmp_path / "mine.duckdb").read_text() == "untouched"


def test_one_that_fails_is_told_and_tried_again_an_hour_later(tmp_path):
    (tmp_path / "file").write_text("no directory")
    with Store.open() as store:
        backups = Backups(tmp_path / "file", DAY_NS, keep=2)
        assert backups.make_if_due(store, NOW) is None
        assert backups.error
        (tmp_path / "file").unlink()
        assert backups.make_if_due(store, NOW + MINUTE_NS) is None
        assert backups.make_if_due(store, NOW + HOUR_NS) is not None
        assert backups.error == ""
