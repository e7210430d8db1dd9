"""A small fleet's traffic as samples and as arrays, for tests of what is learned from it."""

from __future__ import annotations

import numpy as np

from build import batch_of  # noqa: F401  for the tests that need both
from ebbtide.series import DAY_NS, SECOND_NS, Batch, Endpoint, EndpointClass, Entity, Float64, Series
from ebbtide.store.store import Store

STEP_S = 300
STEPS_PER_DAY = 86_400 // STEP_S
FLEET = tuple(Entity("prod", "shop", name, "server") for name in ("web", "api", "db"))
START_NS = 19_000 * DAY_NS


def traffic(days: int, seed: int = 1) -> tuple[Float64, Float64]:
    """Sent and received bytes per step, (entities, steps): diurnal, heavy-tailed, and one that is mostly silent."""
    rng = np.random.default_rng(seed)
    steps = days * STEPS_PER_DAY
    shape = (len(FLEET), steps)
    day = 1.5 + np.sin(np.arange(steps) / STEPS_PER_DAY * 2 * np.pi)
    received = np.rint(2e6 * day * rng.lognormal(0, 0.5, shape))
    sent = np.rint(received * rng.lognormal(-0.5, 0.3, shape))
    busy = rng.random((2, steps)) < 0.02
    sent[2] *= busy[0]
    received[2] *= busy[1]
    # Before an entity is seen it does not exist; arrays know no such thing.
    sent[:, 0] = received[:, 0] = 1
    return sent, received


def batch(sent: Float64, received: Float64, start_ns: int = START_NS) -> Batch:
    """The traffic as samples of tcp.bytes in both directions; silence has no samples."""
    series, columns = [], []
    for row, entity in enumerate(FLEET):
        place = Endpoint("prod", "shop", entity.workload, entity.process, EndpointClass.INTERNAL)
        far = Endpoint(workload="203.0.113.9", kind=EndpointClass.EXTERNAL)
        for values, sender, receiver, source, destination in (
            (sent[row], entity, None, place, far),
            (received[row], None, entity, far, place),
        ):
            key = len(series)
            series.append(Series(key, "tcp.bytes", sender, receiver, source, destination))
            at = np.flatnonzero(values)
            columns.append((np.full(len(at), key, np.int32), at, values[at]))
    ref, at, value = (np.concatenate([column[i] for column in columns]) for i in range(3))
    end = start_ns + (at.astype(np.int64) + 1) * STEP_S * SECOND_NS
    order = np.argsort(end, kind="stable")
    nan = np.full(len(value), np.nan)
    start = end - STEP_S * SECOND_NS
    return Batch(tuple(series), ref[order], start[order], end[order], value[order], nan)


def learned(days: int, seed: int = 1, **changes: Float64) -> Store:
    """A store in memory with the fleet's days closed."""
    store = Store.open()
    sent, received = traffic(days, seed)
    store.append(batch(changes.get("sent", sent), received), store.begin("import", "fleet"))
    store.roll_up()
    return store
