from ebbtide.deliver.message import delivery_of, queue
from ebbtide.deliver.ocsf import to_event
from ebbtide.deliver.sinks import load_sinks
from ebbtide.finding.form import from_json, to_json
from ebbtide.finding.lifecycle import Change, Episode
from ebbtide.finding.notice import INCIDENT, SILENCE, notice, uid_of_notice
from ebbtide.finding.risk import Risk
from ebbtide.series import Entity
from ebbtide.store.store import Store

PROD = Entity("prod", "", "")
RISK = Risk(0.0, 0.0, 0.0, "prod", "system")


def test_a_notice_is_a_finding_of_its_own_kind_and_survives_json():
    one = notice(SILENCE, "prod", PROD, 10, 20, "prod is\x1b[31m silent", RISK)

    assert from_json(to_json(one)) == one
    assert (one.detection_id, one.annotations.type) == ("source_silent", "Health")
    assert "\x1b" not in one.headline
    assert one.uid == uid_of_notice(SILENCE, "prod", 10)


def test_what_began_later_or_is_about_something_else_is_another_notice():
    uids = {uid_of_notice(kind, subject, at) for kind in (INCIDENT, SILENCE) for subject in ("a", "b") for at in (1, 2)}

    assert len(uids) == 8


def test_a_notice_goes_through_the_outbox_into_events_and_words():
    one = notice(SILENCE, "prod", PROD, 10, 20, "prod is silent", RISK)
    sinks = load_sinks("sinks: {s: {type: lines, path: '-'}}", "e.yaml", {}, str)
    with Store.open() as store:
        with store.transaction():
            queue(store.outbox, [(Change.OPENED, Episode(one, 1))], sinks, 20)
        delivery = delivery_of(store.outbox.head("s", 1)[0])

    assert delivery.finding == one
    assert to_event(delivery)["finding_info"]["title"]
