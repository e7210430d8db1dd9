"""Attacks planted into a copy of the recording, for the labels there are operations incidents and nobody was robbed.

Each sends something to an address never seen before and receives 3 % of it. An attack is found if a detection says
something between its start and an hour after its end that it does not say about the same hours untouched.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ebbtide import recording
from ebbtide.demo import own_copy
from ebbtide.detect.detection import Detection
from ebbtide.engine import evaluate
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, Batch, Endpoint, EndpointClass, Entity, Series
from ebbtide.store.store import Store

STRANGER = Endpoint(workload="203.0.113.9", kind=EndpointClass.EXTERNAL)
RETURN_SHARE = 0.03
METRIC = "tcp.bytes"
#: How often a tick looks while an attack lasts, and how long it may take to be found after it.
EVERY_NS = 15 * MINUTE_NS
SLACK_NS = HOUR_NS


@dataclass(frozen=True, slots=True)
class Attack:
    """`share` of the machine's own largest hour of the two weeks before, sent evenly over `minutes`."""

    machine: str
    day: int
    hour: int
    minutes: int
    share: float

    @property
    def start_ns(self) -> int:
        """When it begins."""
        return recording.START_NS + self.day * DAY_NS + self.hour * HOUR_NS

    @property
    def end_ns(self) -> int:
        """When it ends."""
        return self.start_ns + self.minutes * MINUTE_NS

    @property
    def words(self) -> str:
        """What it does."""
        took = f"{self.minutes} min" if self.minutes < 120 else f"{self.minutes // 60} h"
        return f"{self.share:g} x in {took}"


#: Chosen once, before anything was judged: sizes from a third to three times the largest hour, on days after the first
#: two weeks in which no incident of the machine is labelled.
ATTACKS = (
    Attack("machine-1-6", 27, 3, 30, 3.0),
    Attack("machine-1-6", 32, 15, 60, 1.0),
    Attack("machine-2-1", 22, 3, 30, 3.0),
    Attack("machine-2-1", 27, 14, 60, 1.0),
    Attack("machine-2-8", 20, 4, 60, 1.0),
    Attack("machine-2-8", 24, 2, 24 * 60, 3.0),
    Attack("machine-3-3", 24, 4, 30, 1.0),
    Attack("machine-3-3", 26, 1, 60, 0.3),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attack and one detection: `after_ns` the attack's start it was found, None for a miss.

    `was_firing`: it says something about these hours without the attack too, so it does not count.
    """

    attack: Attack
    detection: Detection
    after_ns: int | None
    was_firing: bool


def plant(path: Path, to: Path) -> None:
    """A copy of a store with all attacks in it; the store must be closed."""
    shutil.copyfile(path, to)
    with Store.open(to, is_new_allowed=False) as store:
        origin = store.begin("import", "planted attacks", recording.UNIT)
        for attack in ATTACKS:
            store.append(_batch(store, attack), origin)
        store.roll_up()


def judge(clean: Path, planted: Path, attack: Attack, detections: Iterable[Detection]) -> list[Outcome]:
    """An attack before every detection, beside the same hours untouched; both stores must be closed, and stay as they
    are: copies are opened.
    """
    ticks = range(attack.start_ns + EVERY_NS, attack.end_ns + SLACK_NS + 1, EVERY_NS)
    outcomes = []
    with own_copy(clean) as before, own_copy(planted) as after:
        for detection in detections:
            found = next((tick for tick in ticks if _says(after, detection, attack, tick)), None)
            was = found is not None and any(_says(before, detection, attack, tick) for tick in ticks)
            after_ns = None if found is None or was else found - attack.start_ns
            outcomes.append(Outcome(attack, detection, after_ns, was))
    return outcomes


def _says(store: Store, detection: Detection, attack: Attack, now_ns: int) -> bool:
    found = evaluate(store, detection, now_ns, detectors=DETECTORS).findings
    return any(one.entity.workload == attack.machine and one.end_ns > attack.start_ns for one in found)


def _batch(store: Store, attack: Attack) -> Batch:
    number, entity = next((at, one) for at, one in enumerate(store.identity.entities) if one.workload == attack.machine)
    _, sent, _ = store.contacts.history(number, METRIC, attack.start_ns - 14 * DAY_NS, attack.start_ns)
    each = np.rint(attack.share * float(sent.max()) / attack.minutes)
    place = Endpoint(entity.cluster, entity.namespace, entity.workload, entity.process, EndpointClass.INTERNAL)
    series = (_series(entity, None, place, STRANGER, 1), _series(None, entity, STRANGER, place, 2))
    end = attack.start_ns + (np.arange(attack.minutes, dtype=np.int64) + 1) * MINUTE_NS
    ends, ref = np.tile(end, 2), np.repeat(np.arange(2, dtype=np.int32), attack.minutes)
    value = np.where(ref == 0, each, np.rint(RETURN_SHARE * each))
    return Batch(series, ref, ends - MINUTE_NS, ends, value, np.full(len(ends), np.nan))


def _series(
    sender: Entity | None, receiver: Entity | None, source: Endpoint, destination: Endpoint, way: int
) -> Series:
    text = f"planted {sender or receiver} {way}".encode()
    key = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big", signed=True)
    return Series(key, METRIC, sender, receiver, source, destination)
