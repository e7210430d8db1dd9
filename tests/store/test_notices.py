import dataclasses

from ebbtide.finding.notice import SILENCE, notice
from ebbtide.finding.risk import Risk
from ebbtide.series import Entity
from ebbtide.store.notices import Notice
from ebbtide.store.store import Store

RECORD = notice(SILENCE, "prod", Entity("prod", "", ""), 10, 20, "silent", Risk(0.0, 0.0, 0.0, "prod", "system"))


def test_a_notice_lasts_until_it_is_closed():
    one = Notice(SILENCE.id, "prod", RECORD)
    with Store.open() as store:
        store.notices.save(one)
        assert store.notices.lasting(SILENCE.id) == {"prod": one}
        assert store.notices.lasting("other") == {}

        closed = dataclasses.replace(one, closed_ns=30)
        store.notices.save(closed)

        assert store.notices.lasting(SILENCE.id) == {}
        assert store.notices.all() == store.notices.all(SILENCE.id) == [closed]
        assert store.notices.find(RECORD.uid) == closed
        assert store.notices.find("nobody") is None
