"""What novelty learns once a day equals what each tick would learn anew: `ebbtide.store.learned_novelty`."""

from __future__ import annotations

import dataclasses

import numpy as np

from build import NGINX, Point, batch_of
from ebbtide import novelty
from ebbtide.detect.novelty_detector import NoveltySettings
from ebbtide.detect.novelty_scale import learn_scale
from ebbtide.novelty import OPTIONS
from ebbtide.series import SECOND_NS, Entity
from ebbtide.store.known_contacts import HOURS, NEVER, KnownContacts
from ebbtide.store.learned_novelty import learn
from ebbtide.store.store import Store

DAYS = 9
DAY_S = 20_000 * 86_400
NOW_S = DAY_S + (DAYS - 1) * 86_400 + 10 * 3600
CURL = dataclasses.replace(NGINX, process="curl")
NEW_JOB = Entity("prod", "shop", "worker", "newjob")
FRESH = Entity("prod", "shop", "fresh", "server")


def past() -> list[Point]:
    """Three workloads, one of which gains a process every other day, and meets a new destination on some."""
    points = []
    for hour in range((DAYS - 1) * 24 + 10):
        end = DAY_S + hour * 3600 + 60
        points += [Point(end, 2e6), Point(end, 1e6, sender=Entity("prod", "shop", "worker", "python"), to="q.example")]
        if hour % 48 == 30:
            points.append(Point(end, 3e5, sender=Entity("prod", "shop", "worker", f"job{hour}")))
        if hour % 31 == 5:
            points.append(Point(end, 4e5, to=f"d{hour}.example"))
    return points


def naive(known: KnownContacts, entities: list[Entity], at: list[int]):
    """Days and processes of the workloads of some entities and the scale, with all entities there are by now."""
    numbers: dict[tuple[str, ...], int] = {}
    of = np.array([numbers.setdefault((e.cluster, e.namespace, e.workload), len(numbers)) for e in entities])
    first = np.full(len(entities), NEVER)
    first[: len(known.first_hour)] = known.first_hour
    begin = [first[of == number].min() for number in range(len(numbers))]
    days = np.array(
        [
            float(known.heard_between(name[0], int(hour) // HOURS, known.day)) if hour < NEVER else 0.0
            for name, hour in zip(numbers, begin, strict=True)
        ]
    )
    came = [first[i] < NEVER and first[i] >= begin[of[i]] + HOURS for i in range(len(entities))]
    processes = np.array([sum(came[i] for i in range(len(entities)) if of[i] == n) for n in range(len(numbers))])
    exposed = np.maximum(days - 1.0, 0.0).sum()
    scale = learn_scale(known.past, float(processes.sum()), float(exposed), float(known.wakings.sum()), OPTIONS)
    return days[of[at]], processes[of[at]], scale


def test_each_tick_of_a_day_says_what_it_would_have_learned_anew():
    with Store.open() as store:
        store.append(batch_of(past()), store.begin("import", "past"))
        store.roll_up()
        for step, sender in enumerate((NGINX, NEW_JOB, FRESH, Entity("stage", "a", "b", "c"))):
            end = NOW_S + step * 600 + 300
            store.append(batch_of([Point(end, 5e6, sender=sender, to=f"n{step}.example")]), 1)
            store.roll_up()
            now_ns = (end + 60) * SECOND_NS
            kept = novelty.judge(store, now_ns, NoveltySettings())
            known = store.novelty.known(now_ns, OPTIONS)
            days, processes, scale = naive(known, store.identity.entities, kept.entities.tolist())
            np.testing.assert_array_equal(kept.facts.workload_days, days)
            np.testing.assert_array_equal(kept.facts.processes, processes)
            np.testing.assert_array_equal(kept.scale.usual, scale.usual)
            np.testing.assert_array_equal(kept.scale.shift, scale.shift)
            again = learn(known, store.identity.entities, OPTIONS)
            np.testing.assert_array_equal(store.novelty.learned(known, OPTIONS).outside, again.outside)
            assert store.novelty.learned(known, OPTIONS) is store.novelty.learned(known, OPTIONS)
        assert kept.facts.processes.max() == 4
        assert len(store.identity.entities) > len(known.first_hour)


def test_contacts_that_are_read_again_are_learned_from_again():
    with Store.open() as store:
        store.append(batch_of(past()), store.begin("import", "past"))
        store.roll_up()
        known = store.novelty.known(NOW_S * SECOND_NS, OPTIONS)
        before = store.novelty.learned(known, OPTIONS)
        store.append(batch_of([Point(DAY_S + 86_400 + 300, 1e6, sender=CURL)]), 1)
        store.roll_up()
        anew = store.novelty.known(NOW_S * SECOND_NS, OPTIONS)
        after = store.novelty.learned(anew, OPTIONS)

    assert anew is not known and after is not before
    assert after.entities == before.entities + 1


def test_a_store_without_contacts_learns_the_shipped_scale():
    with Store.open() as store:
        known = store.novelty.known(NOW_S * SECOND_NS, OPTIONS)
        learned = store.novelty.learned(known, OPTIONS)

    assert (learned.entities, len(learned.days)) == (0, 0)
    np.testing.assert_allclose(learned.scale.usual[:2], OPTIONS.usual[:2])
