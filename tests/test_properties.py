"""What must hold for every default detection, whatever the traffic: its score is a matter of who sent what and when.

Not of the source's sampling interval, of zeros it sends or leaves out, of names, order, shards or restarts; and more
bytes never make it smaller. Each is tried on drawn traffic, through samples, store, closed days and tick.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from ebbtide import novelty, outbound
from ebbtide.detect.novelty_detector import NoveltySettings
from ebbtide.detect.outbound_detector import OutboundSettings
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Batch, Endpoint, EndpointClass, Entity, Int64, Series
from ebbtide.store import learned_days, opened_days
from ebbtide.store.store import Store

DAYS = 4
DAY = 1440
START_NS = 19_000 * DAY_NS
#: On the hour, within it, and a little after its beginning.
INSTANTS = tuple(START_NS + DAYS * DAY_NS + one * MINUTE_NS for one in (600, 635, 602))
HEART = Entity("prod", "kube-system", "agent", "agent")
FLEET = tuple(Entity("prod", "shop", name, "server") for name in ("api", "db", "web"))
SEED = 3
PLACES = ("db.example", "queue.example", "198.51.100.7", "203.0.113.9")
#: What a sender sends to a place in a metric (or, with True, receives from it), by the minute.
Traffic = Mapping[tuple[Entity, str, str, bool], Int64]
#: Where the bytes went, and the score with that taken off.
CLUED = "clues"
Scores = dict[tuple[int, str, str], tuple[float, ...]]


def drawn(seed: int) -> Traffic:
    """Three processes that send now and then; the last place is met in the last hours only, with more than usual."""
    rng = np.random.default_rng(seed)
    minutes = DAYS * DAY + 660
    rows: dict[tuple[Entity, str, str, bool], Int64] = {(HEART, PLACES[0], "tcp.bytes", False): np.full(minutes, 60)}
    for entity in FLEET:
        level = 10 ** rng.uniform(5, 7)
        for place in PLACES:
            active = rng.random(minutes) < 0.05
            if place == PLACES[-1]:
                active[: DAYS * DAY + 540] = False
            scale = level * (30 if place == PLACES[-1] else 1)
            sent = np.where(active, rng.lognormal(0, 1.5, minutes) * scale, 0).astype(np.int64)
            rows[entity, place, "tcp.bytes", False] = sent
            rows[entity, place, "tcp.bytes", True] = (sent * rng.uniform(0, level / scale, minutes)).astype(np.int64)
            rows[entity, place, "tcp.new_sockets", False] = np.where(active, rng.integers(1, 60, minutes), 0)
    return rows


def samples(traffic: Traffic, step_s: int = 60, *, has_zeros: bool = False, order: int | None = None) -> Batch:
    """The traffic as samples of `step_s`, whole numbers that add up to the minute's; `order` permutes the series."""
    keys = list(traffic)
    if order is not None:
        keys = [keys[at] for at in np.random.default_rng(order).permutation(len(keys))]
    series, columns = [], []
    for at, key in enumerate(keys):
        entity, name, metric, is_back = key
        here = Endpoint(entity.cluster, entity.namespace, entity.workload, entity.process, EndpointClass.INTERNAL)
        there = Endpoint(workload=name, kind=EndpointClass.EXTERNAL)
        ends = (None, entity, there, here) if is_back else (entity, None, here, there)
        series.append(Series(zlib.crc32(repr(key).encode()), metric, *ends))
        parts = 60 // step_s
        value = np.repeat(traffic[key] // parts, parts)
        value[::parts] += traffic[key] % parts
        chosen = np.arange(len(value)) if has_zeros else np.flatnonzero(value)
        columns.append((np.full(len(chosen), at, np.int32), chosen, value[chosen].astype(np.float64)))
    ref, place, value = (np.concatenate([one[at] for one in columns]) for at in range(3))
    end = START_NS + (place.astype(np.int64) + 1) * step_s * SECOND_NS
    by_time = np.argsort(end, kind="stable")
    batch = Batch(tuple(series), ref, end - step_s * SECOND_NS, end, value, np.full(len(value), np.nan))
    return taken(batch, by_time)


def taken(batch: Batch, rows: Int64) -> Batch:
    """Some rows of a batch."""
    columns = {name: getattr(batch, name)[rows] for name in ("ref", "start_ns", "end_ns", "value", "reading")}
    return dataclasses.replace(batch, **columns)


def scores(store: Store) -> Scores:
    """Every figure of both default detections' verdicts, by instant, detection and entity."""
    found: Scores = {}
    names = store.identity.entities
    for now_ns in INSTANTS:
        judged = outbound.judge(store, now_ns, OutboundSettings())
        for row, entity in enumerate(judged.opened.pairs.entity.tolist()):
            key = (now_ns, f"outbound {store.identity.metrics[judged.opened.pairs.metric[row]]}", str(names[entity]))
            raw, parts = judged.instant.raw, judged.scored.parts
            found[key] = (parts.ratio[row, 0], parts.volume[row, 0], *raw.surprises[row, :, 0].tolist())
            # Not the line: it rests on hours of edges, which a sample that ends on the stroke begins.
            mix = (judged.mix.unfamiliar[row, 0], judged.mix.overlap[row, 0])
            whole = (judged.scored.score[row, 0], judged.quieted.nats[row, 0], *np.nan_to_num(mix, nan=-1.0).tolist())
            found[now_ns, f"{CLUED} {store.identity.metrics[judged.opened.pairs.metric[row]]}", key[2]] = whole
        new = novelty.judge(store, now_ns, NoveltySettings())
        for row, entity in enumerate(new.entities.tolist()):
            found[now_ns, "novelty", str(names[entity])] = (new.novel.score[row],)
    return found


def scores_of(*batches: Batch) -> Scores:
    """The verdicts of a store that took these batches."""
    with Store.open() as store:
        for batch in batches:
            store.append(batch, store.begin("import", "test"))
        store.roll_up()
        return scores(store)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """What the others are held against: samples of a minute, without zeros."""
    with Store.open() as opened:
        opened.append(samples(drawn(SEED)), opened.begin("import", "test"))
        opened.roll_up()
        yield opened


@pytest.fixture(scope="module")
def whole(store) -> Scores:
    """Its verdicts. Enough of them are surprises for equality to mean something."""
    found = scores(store)
    values = np.concatenate([np.array(one) for key, one in found.items() if not key[1].startswith(CLUED)])
    assert (values[np.isfinite(values)] > 1.0).sum() >= 20
    assert len({one[1] for key, one in found.items() if key[1].startswith(CLUED)}) >= 2
    return found


@pytest.mark.parametrize("step_s", [10, 30])
def test_the_sampling_interval_does_not_matter(whole, step_s):
    assert scores_of(samples(drawn(SEED), step_s)) == whole


def test_zeros_that_a_source_leaves_out_do_not_matter(whole):
    assert scores_of(samples(drawn(SEED), has_zeros=True)) == whole


def test_the_order_of_entities_and_destinations_does_not_matter(whole):
    assert scores_of(samples(drawn(SEED), order=5)) == whole


@pytest.mark.parametrize(("place", "added"), [(PLACES[0], 3e6), (PLACES[-1], 3e8)])
def test_more_bytes_today_are_never_less_surprising(whole, place, added):
    traffic, sender = dict(drawn(SEED)), FLEET[1]
    more = traffic[sender, place, "tcp.bytes", False].copy()
    more[DAYS * DAY + 560 : DAYS * DAY + 640] += int(added) // 80
    after = scores_of(samples(traffic | {(sender, place, "tcp.bytes", False): more}))
    own = [key for key in whole if key[2] == str(sender) and not key[1].startswith(CLUED)]
    assert len(own) >= 2 * len(INSTANTS)
    if place == PLACES[-1]:
        # Never met before today, so no clue can be won there; bytes to a known place may win one.
        clued = [key for key in whole if key[2] == str(sender) and key[1].startswith(CLUED)]
        assert len(clued) == len(INSTANTS) and all(after[key][0] >= whole[key][0] - 1e-9 for key in clued)
    assert all(now >= then - 1e-9 for key in own for now, then in zip(after[key], whole[key], strict=True))
    assert any(after[key] > whole[key] for key in own)


def test_the_cut_into_shards_does_not_matter(whole, monkeypatch):
    for room in (learned_days, opened_days):
        monkeypatch.setattr(room, "SHARD", 1)
    assert scores_of(samples(drawn(SEED))) == whole


def test_restarts_do_not_matter(whole, tmp_path):
    traffic, path = samples(drawn(SEED)), tmp_path / "restarted.duckdb"
    piece = (traffic.end_ns - START_NS - 1) // (37 * HOUR_NS)
    for one in np.unique(piece):
        append_to(path, taken(traffic, np.flatnonzero(piece == one)))
    with Store.open(path) as store:
        assert scores(store) == whole


def append_to(path: Path, batch: Batch) -> None:
    """Open a store, take a batch in, close the days that are over, and close the store."""
    with Store.open(path) as store:
        store.append(batch, store.begin("import", "test"))
        store.roll_up()


def weight(value: object) -> int:
    """Bytes of all arrays in a record and the records in it."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, tuple | list):
        return sum(map(weight, value))
    if isinstance(value, dict):
        return sum(map(weight, value.values()))
    if dataclasses.is_dataclass(value):
        return sum(weight(getattr(value, one.name)) for one in dataclasses.fields(value))
    return 0


def test_what_a_tick_keeps_in_memory_is_at_most_16_kib_for_each_entity_and_metric(store):
    """The day as it opened, which is kept twice around midnight, and the places that were met."""
    opened = outbound.judge(store, INSTANTS[0], OutboundSettings()).opened
    known = store.novelty.known(INSTANTS[0], novelty.OPTIONS)
    own = dataclasses.replace(opened, scale=None)  # one for the whole fleet
    assert weight(own) / len(opened.pairs) > 3000  # the arrays are found
    assert 2 * weight(own) / len(opened.pairs) + weight(known) / len(store.identity.entities) <= 16 * 1024
