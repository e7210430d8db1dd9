"""The service: one store, the rounds in a thread, a courier for each sink, and the servers that bring data and answer.

Starts all or nothing, stops without losing what was accepted: servers first (they answer what is in flight), then the
round under way, then couriers, then the store with its log written. Settings are read anew on request; a mistake in
them leaves everything as it was.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from ebbtide.config import BackupSettings, Config, catalogue_of, detections_of
from ebbtide.detect.catalogue import Catalogue
from ebbtide.detect.detection import Detectors
from ebbtide.errors import ConfigError, EbbtideError
from ebbtide.health import Health, Port, Problem
from ebbtide.live import Clockwork, Outlet
from ebbtide.series import SECOND_NS
from ebbtide.service.backups import Backups
from ebbtide.service.courier import Courier
from ebbtide.service.front import WebSettings
from ebbtide.service.rounds import Rounds
from ebbtide.service.sources import Sightings
from ebbtide.service.steady import SteadyClock
from ebbtide.service.vitals import Figures, Vitals
from ebbtide.signals import STOP, on_signals
from ebbtide.store.outbox import Bounds
from ebbtide.store.store import Store
from ebbtide.telemetry import Log


class Server(Protocol):
    """What takes data in or answers requests: receivers with their intake, the pages."""

    def start(self) -> None:
        """Open. Raises ConfigError or ServiceError where it cannot; then nothing is open."""

    def stop(self) -> None:
        """Close: nothing new is taken, what was accepted is answered and on disk. Does not raise."""

    def figures(self) -> Figures:
        """What it counts."""


#: Makes the servers of a service: given the service, whose store and health they stand on.
Build: TypeAlias = Callable[["Service"], Sequence[Server]]


def no_servers(_: Service) -> Sequence[Server]:
    """A service that only judges and delivers."""
    return ()


class Service:
    """One running service. `start`, then `stop` once; `run` does both around signals."""

    def __init__(
        self,
        config: Config,
        *,
        detectors: Detectors,
        log: Log,
        build: Build = no_servers,
        read_config: Callable[[], Config] | None = None,
        now: Callable[[], int] | None = None,
    ) -> None:
        self.config = config
        self.detectors = detectors
        self.log = log
        self.steady = SteadyClock(*([] if now is None else [now, now]))
        self.now: Callable[[], int] = self.steady
        self._build = build
        self._read_config = read_config
        self._servers: list[Server] = []
        self._couriers: dict[str, Courier] = {}
        self._stopping = threading.Event()
        self._asked = threading.Event()
        self._is_reload_asked = False
        self._ticker: threading.Thread | None = None

    # -- its life

    def start(self) -> None:
        """Open the store, begin the rounds and open the servers. Raises ConfigError, DataError or ServiceError."""
        settings = self.config.settings
        self.catalogue: Catalogue = catalogue_of(settings, self.detectors)
        clockwork = self._clockwork(self.config, self.catalogue)
        memory = f"{settings.store.memory >> 20}MiB"
        self.store = Store.open(settings.store.path, memory_limit=memory, threads=settings.store.threads)
        try:
            started_ns = self.now()
            sightings = Sightings(settings.clusters, started_ns)
            keep = settings.store.retention
            backups = _backups(settings.backup)
            self.rounds = Rounds(self.store, clockwork(self.store), sightings, keep, started_ns, backups)
            self._start_couriers(self._couriers_for(self.config, {}))
            self._open_servers()
        except BaseException:  # a start that fails or is broken off leaves nothing open
            self._close_servers()
            self._close_couriers(list(self._couriers))
            self.store.close()
            raise
        self._ticker = threading.Thread(target=self._tick_on, name="ebbtide-rounds", daemon=True)
        self._ticker.start()
        ids = [one.id for one in self.rounds.clockwork.detections]
        self.log("info", "started", store=str(settings.store.path), detections=ids, sinks=list(self.config.sinks))

    def stop(self) -> None:
        """Stop gently; what was accepted is on disk, what waits for sinks is in the store."""
        self.log("info", "stopping")
        self._close_servers()
        self._stopping.set()
        self._asked.set()
        if self._ticker is not None:
            self._ticker.join()
        self._close_couriers(list(self._couriers))
        self.store.close()
        self.log("info", "stopped")

    def run(self) -> None:
        """Start, go on until SIGTERM or SIGINT, stop. SIGHUP reads the settings anew. For the main thread."""
        on_signals(STOP, self.ask_to_stop)
        on_signals([signal.SIGHUP], self._ask_to_reload)
        self.start()
        try:
            while not self._stopping.is_set():
                self._asked.wait()
                self._asked.clear()
                if self._is_reload_asked and not self._stopping.is_set():
                    self._is_reload_asked = False
                    self._reload_as_asked()
        finally:
            self.stop()

    def ask_to_stop(self) -> None:
        """Have `run` end. For any thread, not for a signal handler (see `ebbtide.signals`)."""
        self._stopping.set()
        self._asked.set()

    def _ask_to_reload(self) -> None:
        self._is_reload_asked = True
        self._asked.set()

    # -- what others ask

    def health(self) -> Health:
        """How everything fares now."""
        return self._vitals().gather(self.now())

    def is_ready(self) -> bool:
        """Whether rounds go well."""
        return self._vitals().is_ready(self.now())

    def trouble(self) -> str:
        """What stands in the way of what arrives; "" for nothing."""
        return self._vitals().trouble()

    def _vitals(self) -> Vitals:
        settings = self.config.settings
        return Vitals(self.store, self.rounds, self.config.sinks, settings.tick, self._figures, settings.filter_share)

    def _figures(self) -> Figures:
        received: dict[str, int] = {}
        capacity: dict[str, float] = {}
        problems: list[Problem] = []
        ports: list[Port] = []
        for server in list(self._servers):
            figures = server.figures()
            problems += figures.problems
            ports += figures.ports
            for name, count in figures.received.items():
                received[name] = received.get(name, 0) + count
            capacity.update(figures.capacity)
        return Figures(received, {**capacity, "clock_step_s": self.steady.step_s}, tuple(problems), tuple(ports))

    # -- rounds

    def _tick_on(self) -> None:
        """Rounds on the grid of the tick interval; at once again while more is due."""
        while not self._stopping.is_set():
            is_behind = self._round()
            tick_ns = self.config.settings.tick
            wait_ns = 0 if is_behind else tick_ns - self.now() % tick_ns
            self._stopping.wait(wait_ns / SECOND_NS)

    def _round(self) -> bool:
        """One round, and whether more is due at once."""
        try:
            ticked = self.rounds.go(self.now())
        except Exception as error:  # noqa: BLE001  the border of this thread: a round that fails is told and tried again
            self.log("error", "round_failed", error=str(error) or type(error).__name__)
            return False
        for detection, why in ticked.failed.items():
            self.log("error", "detection_failed", detection=detection, error=why)
        if ticked.changes:
            self.log("info", "findings_changed", **dict(ticked.changes))
        for courier in list(self._couriers.values()):
            courier.wake()
        return ticked.is_behind and not ticked.failed

    # -- settings

    def _clockwork(self, config: Config, catalogue: Catalogue) -> Callable[[Store], Clockwork]:
        """What makes the clockwork of a store as the settings say. Raises ConfigError before anything is touched."""
        detections = detections_of(config.settings.detections, catalogue, self.detectors)
        outlet = Outlet(config.sinks, Bounds(), _link(config))

        def make(store: Store) -> Clockwork:
            return Clockwork(
                store,
                detections,
                detectors=self.detectors,
                pace=config.pace,
                outlet=outlet,
                timer=time.perf_counter,
                is_stopping=self._stopping.is_set,
            )

        return make

    def reload(self, config: Config) -> None:
        """Take other settings on without losing data. Raises ConfigError where that needs a restart, or is wrong.

        Servers whose settings changed are closed and opened again: senders that are told to come again do. Where they
        cannot open, those of before are opened again, and the error is raised.
        """
        before = self.config
        if config.settings.store != before.settings.store or config.settings.clusters != before.settings.clusters:
            raise ConfigError("`store` and `clusters` are read at the start alone", hint="restart the service for them")
        catalogue = catalogue_of(config.settings, self.detectors)
        clockwork = self._clockwork(config, catalogue)(self.store)
        clockwork.judged.update(self.rounds.clockwork.judged)
        clockwork.counts.update(self.rounds.clockwork.counts)
        gone = [name for name, one in self._couriers.items() if config.sinks.get(name) != one.settings]
        couriers = self._couriers_for(config, {name: one for name, one in self._couriers.items() if name not in gone})
        self._change_servers(config, catalogue)
        self.rounds.clockwork = clockwork
        if config.settings.backup != before.settings.backup:
            self.rounds.backups = _backups(config.settings.backup)
        self._close_couriers(gone)
        self._start_couriers(couriers)

    def _change_servers(self, config: Config, catalogue: Catalogue) -> None:
        """Take on the settings, with servers opened anew where they stand on something that changed."""
        before, known = self.config, self.catalogue
        parts = [
            (one.slots, one.settings.guard, one.settings.detections, one.settings.budget) for one in (config, before)
        ]
        self.config, self.catalogue = config, catalogue
        if parts[0] == parts[1]:
            return
        self._close_servers()
        try:
            self._open_servers()
        except EbbtideError:
            self._close_servers()
            self.config, self.catalogue = before, known
            self._open_servers()
            raise

    def _reload_as_asked(self) -> None:
        if self._read_config is None:
            return
        try:
            self.reload(self._read_config())
        except EbbtideError as error:
            self.log("error", "reload_refused", error=str(error), hint=error.hint)
        else:
            self.log("info", "reloaded")

    def _couriers_for(self, config: Config, kept: Mapping[str, Courier]) -> dict[str, Courier]:
        """Couriers of all sinks but the kept ones, not started. Raises ConfigError where a sink cannot work."""
        rng = random.Random().random  # noqa: S311  jitter, no secret
        return {
            name: Courier(self.store, name, settings, Bounds(), self.now, rng, self.log)
            for name, settings in config.sinks.items()
            if name not in kept
        }

    def _start_couriers(self, couriers: Mapping[str, Courier]) -> None:
        for name, courier in couriers.items():
            self._couriers[name] = courier
            courier.start()

    def _close_couriers(self, names: Sequence[str]) -> None:
        for name in names:
            if not self._couriers.pop(name).stop():
                self.log("warning", "sink_hangs", sink=name)

    def _open_servers(self) -> None:
        for server in self._build(self):
            server.start()
            self._servers.append(server)

    def _close_servers(self) -> None:
        while self._servers:
            self._servers.pop().stop()


def _backups(settings: BackupSettings) -> Backups | None:
    if settings.directory is None:
        return None
    return Backups(settings.directory, settings.every, settings.keep)


def _link(config: Config) -> str:
    web = config.slots.get("web")
    return config.settings.link or (web.finding_link if isinstance(web, WebSettings) else "")
