"""The service's rounds on a store, for the tests of `service`."""

from __future__ import annotations

from collections.abc import Mapping

from ebbtide.deliver.sink import SinkSettings
from ebbtide.deliver.sinks import load_sinks
from ebbtide.live import Clockwork, Outlet
from ebbtide.service.rounds import Rounds
from ebbtide.service.sources import Sightings
from ebbtide.store.retention import Retention
from ebbtide.store.store import Store
from test_engine import CORRECTED

SINKS = load_sinks("sinks: {s: {type: lines, path: '-'}}", "e.yaml", {}, str)


def rounds_of(
    store: Store, now_ns: int, expected: tuple[str, ...] = (), sinks: Mapping[str, SinkSettings] = SINKS
) -> Rounds:
    clockwork = Clockwork(store, [CORRECTED], outlet=Outlet(sinks))
    return Rounds(store, clockwork, Sightings(expected, now_ns), Retention(), now_ns)
