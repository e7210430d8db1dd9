import random
import uuid

from finding_samples import CORRECTED, NGINX, NOON_NS, UPSTREAM, find, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.finding.finding import uid_of
from ebbtide.series import Entity

NAMES = st.sampled_from(["", "a", "b", '","', "a/b", "\ud800"])
ENTITIES = st.builds(Entity, NAMES, NAMES, NAMES, NAMES)


def test_the_uid_is_a_uuid5_of_the_detections_uuid() -> None:
    parts = '["outbound_network_activity_from_process_corrected", 1, "prod", "shop", "checkout", "nginx", %d]'
    uid = uid_of(CORRECTED.uuid, CORRECTED.id, 1, NGINX, NOON_NS)
    assert uid == str(uuid.uuid5(CORRECTED.uuid, parts % NOON_NS))


@settings(deadline=None)
@given(ENTITIES, ENTITIES, st.integers(0, 2**62), st.integers(0, 2**62))
def test_the_same_matter_has_one_uid_and_others_have_others(a: Entity, b: Entity, s: int, t: int) -> None:
    is_same = (a, s) == (b, t)
    assert (uid_of(CORRECTED.uuid, "d", 1, a, s) == uid_of(CORRECTED.uuid, "d", 1, b, t)) == is_same
    assert uid_of(CORRECTED.uuid, "d", 1, a, s) != uid_of(CORRECTED.uuid, "d", 2, a, s)
    assert uid_of(CORRECTED.uuid, "d", 1, a, s) != uid_of(UPSTREAM.uuid, "d", 1, a, s)


def test_uids_do_not_depend_on_the_order_of_evaluations() -> None:
    entities = [Entity("prod", "shop", f"w{i}", "p") for i in range(6)]
    jobs = [(entity, NOON_NS + hour * 3600 * 10**9) for entity in entities for hour in range(3)]

    def uids(order: list[tuple[Entity, int]]) -> set[str]:
        return {
            find({"tcp.bytes": [1e6] * 8}, [[1e3] * 400], entity=entity, start_ns=start_ns)[0].uid
            for entity, start_ns in order
        }

    shuffled = jobs[:]
    random.Random(7).shuffle(shuffled)
    assert uids(jobs) == uids(shuffled)
    assert len(uids(jobs)) == len(jobs)


def test_later_buckets_do_not_change_the_uid() -> None:
    short = find({"tcp.bytes": [0, 0, *[1e6] * 6]}, [[1e3] * 400])[0]
    longer = find({"tcp.bytes": [0, 0, *[1e6] * 60]}, [[1e3] * 400])[0]
    assert short.uid == longer.uid
    assert (longer.opened_ns, longer.last_ns) == (short.opened_ns, short.opened_ns + 59 * 30 * 10**9)


def test_a_finding_ends_with_its_last_bucket_and_is_hidden_by_filters() -> None:
    finding = sample()
    assert finding.end_ns - finding.opened_ns == 7 * 60 * 10**9
    assert not finding.is_hidden
    assert sample(hidden_by=("f1",)).is_hidden
