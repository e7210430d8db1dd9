"""An intake over a store in memory, and listeners on ports of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from requests_of_decode import END_NS

from ebbtide.decode.preset import load_preset
from ebbtide.receive.intake import Intake
from ebbtide.receive.serving import Server, open_listener
from ebbtide.receive.settings import IntakeSettings, Kind, Listener
from ebbtide.receive.source import Source
from ebbtide.series import SECOND_NS
from ebbtide.store.store import Store

#: The time of these tests, a minute after the points that `requests_of_decode` makes.
NOW_NS = END_NS + 60 * SECOND_NS


@dataclass
class Kept:
    """An intake and the store behind it."""

    store: Store
    intake: Intake

    @property
    def sum(self) -> float:
        """Everything stored."""
        return sum(self.store.totals().values())


@pytest.fixture
def make_kept() -> Iterator[Callable[..., Kept]]:
    """Makes started intakes; everything is stopped and closed afterwards."""
    made: list[Kept] = []

    def make(settings: IntakeSettings | None = None, *, is_started: bool = True) -> Kept:
        store = Store.open()
        intake = Intake(store, settings, clock=lambda: NOW_NS)
        if is_started:
            intake.start()
        made.append(Kept(store, intake))
        return made[-1]

    yield make
    for kept in made:
        kept.intake.stop()
        kept.store.close()


@pytest.fixture
def kept(make_kept: Callable[..., Kept]) -> Kept:
    return make_kept()


@pytest.fixture
def source() -> Source:
    return Source.of(load_preset("opentelemetry-network"), "default")


@pytest.fixture
def listen() -> Iterator[Callable[..., Server]]:
    """Opens listeners on free loopback ports; they are stopped before their intake."""
    opened: list[Server] = []

    def make(kept: Kept, kind: Kind, **settings: object) -> Server:
        opened.append(open_listener(kept.intake, Listener(address="127.0.0.1:0", **settings), kind))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for server in opened:
        server.stop()
