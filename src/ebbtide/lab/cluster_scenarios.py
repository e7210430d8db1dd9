"""What attackers do, as data: scenarios X1 to X12 with every parameter, and which of them an evaluation runs.

The bitbrains harness injects volume into volume (`inject_scenario`); these also bring destinations, sockets, packets,
processes and silence, for clusters in which those are seen. `cluster_inject` turns a scenario into samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ebbtide.errors import UsageError

KB, MB, GB = 1e3, 1e6, 1e9
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


@dataclass(frozen=True, slots=True)
class Attack:
    """One scenario; what is not used is 0 or false.

    It lasts `active_s`, `repeats` times, once every 24 h. How much: `rate` bytes/s; or `of_maximum`, `of_p99` times
    the entity's own largest or 99th percentile minute; or `of_profile` times what it sent a day (or week) earlier; or
    the median of its own active minutes (`is_usual`). `chunk` bytes at a time instead of evenly, up to `jitter` (a
    share) early or late; `period_s` is a beacon's. To `destinations` new places, inside the cluster if `is_lateral`.
    `process` is who sends instead of the entity's own process. `is_silent`: into an entity that long sent nothing.
    `poison_rate` runs for a third of the history first. What comes back is `return_share` of what is sent, None: the
    usual 1 to 4 %. `night`: within ("backup") or outside ("quiet") the hour of
    most traffic, for nightly ones. `is_benign`: a twin that should stay quiet.
    """

    id: str
    name: str
    technique: str
    active_s: int
    repeats: int = 1
    rate: float = 0.0
    of_maximum: float = 0.0
    of_p99: float = 0.0
    of_profile: float = 0.0
    is_usual: bool = False
    chunk: float = 0.0
    jitter: float = 0.0
    period_s: int = 0
    is_udp: bool = False
    sockets_per_s: float = 0.0
    destinations: int = 1
    is_lateral: bool = False
    process: str = ""
    is_silent: bool = False
    poison_rate: float = 0.0
    return_share: float | None = None
    night: str = ""
    is_benign: bool = False
    is_core: bool = False

    @property
    def duration_s(self) -> int:
        """From the first added byte to the last, the poisoning left out."""
        return (self.repeats - 1) * DAY_S + self.active_s

    @property
    def is_volume(self) -> bool:
        """Whether its size relative to the entity's own traffic says how hard it is to see."""
        return self.id in ("X1", "X2", "X3", "X4", "X5", "X12")


def _size(size: float) -> str:
    for unit, scale in (("GB", GB), ("MB", MB), ("KB", KB)):
        if size >= scale:
            return f"{size / scale:g} {unit}"
    return f"{size:g} B"


def _span(seconds: int) -> str:
    for unit, scale in (("h", HOUR_S), ("min", MINUTE_S)):
        if seconds >= scale and seconds % scale == 0:
            return f"{seconds // scale} {unit}"
    return f"{seconds} s"


def _bursts() -> Iterator[Attack]:
    for size in (50 * MB, 200 * MB, 1 * GB, 5 * GB):
        for seconds in (300, 1800, 3600):
            is_core = seconds == 1800
            name = f"burst {_size(size)} in {_span(seconds)}"
            yield Attack("X1", name, "T1041", seconds, rate=size / seconds, is_core=is_core)
    for size in (200 * MB, 1 * GB):  # sent and received alike: no ratio gives it away
        name = f"burst {_size(size)} in 30 min, as much back"
        yield Attack("X1", name, "T1041", 1800, rate=size / 1800, return_share=1.0, is_core=size == 1 * GB)


def _relative() -> Iterator[Attack]:
    for times in (0.3, 1.0, 3.0, 10.0):
        for seconds in (600, 1800):
            is_core = seconds == 1800 and times in (1.0, 3.0)
            span = _span(seconds)
            yield Attack("X2", f"{times:g} x own maximum, {span}", "T1041", seconds, of_maximum=times, is_core=is_core)
            yield Attack("X2", f"{times:g} x own p99, {span}", "T1041", seconds, of_p99=times, is_core=is_core)


def _drips() -> Iterator[Attack]:
    for rate in (1 * MB, 10 * MB, 50 * MB):
        for hours in (6, 24, 48, 168):
            is_core = (rate, hours) in ((10 * MB, 24), (50 * MB, 24), (50 * MB, 6))
            name = f"drip {_size(rate)}/h, {hours} h"
            yield Attack("X3", name, "T1030", hours * HOUR_S, rate=rate / HOUR_S, is_core=is_core)
    for chunk in (1 * MB, 5 * MB):
        yield Attack(
            "X3", f"drip 10 MB/h in {_size(chunk)} chunks, 24 h", "T1030", DAY_S, rate=10 * MB / HOUR_S, chunk=chunk,
            jitter=0.2, is_core=chunk == 5 * MB,
        )  # fmt: skip


def _nights() -> Iterator[Attack]:
    for size in (30 * MB, 300 * MB):
        for nights in (5, 14):
            for night in ("backup", "quiet"):
                where = "in the busiest hour" if night == "backup" else "in a quiet hour"
                name = f"{_size(size)} on {nights} nights {where}"
                yield Attack("X4", name, "T1029", 1800, nights, size / 1800, night=night)
    for size in (30 * MB, 300 * MB):  # short enough for a benchmark of two weeks
        name = f"{_size(size)} on 2 nights in a quiet hour"
        yield Attack("X4", name, "T1029", 1800, 2, size / 1800, night="quiet", is_core=True)


def _mimics() -> Iterator[Attack]:
    for share in (0.1, 0.25, 0.5):
        yield Attack("X5", f"mimic +{share:.0%} for 7 d", "T1029+T1030", 7 * DAY_S, of_profile=share)
        name = f"mimic +{share:.0%} for 2 d"
        yield Attack("X5", name, "T1029+T1030", 2 * DAY_S, of_profile=share, is_core=share == 0.5)


def _tunnels() -> Iterator[Attack]:
    for rate in (0.1 * KB, 1 * KB, 10 * KB):
        for hours in (1, 24):
            name = f"DNS tunnel {_size(rate)}/s, {hours} h"
            is_core = hours == 1 or rate == 0.1 * KB
            yield Attack("X6", name, "T1048.003", hours * HOUR_S, rate=rate, is_udp=True, is_core=is_core)


def _beacons() -> Iterator[Attack]:
    for period_s, size, jitter in ((60, 0.2 * KB, 0.0), (300, 1 * KB, 0.1), (3600, 2 * KB, 0.3)):
        name = f"beacon {_size(size)} every {_span(period_s)}, 24 h"
        yield Attack("X7", name, "T1071", DAY_S, rate=size / period_s, period_s=period_s, jitter=jitter,
                     is_core=period_s == 300)  # fmt: skip
    for rate in (1 * KB, 5 * KB):
        yield Attack("X7", f"miner {_size(rate)}/s, 24 h", "T1496", DAY_S, rate=rate, is_core=rate == 5 * KB)


def _scans() -> Iterator[Attack]:
    for sockets, destinations in ((1, 20), (10, 500), (100, 5000)):
        for minutes in (1, 10, 60):
            name = f"scan {sockets} sockets/s to {destinations}, {minutes} min"
            yield Attack(
                "X8", name, "T1046", minutes * MINUTE_S, rate=120.0 * sockets, sockets_per_s=float(sockets),
                destinations=destinations, is_lateral=True, is_core=minutes == 10 and sockets < 100,
            )  # fmt: skip


def _others() -> Iterator[Attack]:
    for many in (1, 5, 20):
        name = f"{many} new service{'s' * (many > 1)} of the cluster, 1 h"
        yield Attack("X9", name, "T1021", HOUR_S, is_usual=True, destinations=many, is_lateral=True, is_core=many != 20)
    for size in (1 * MB, 10 * MB, 100 * MB):
        yield Attack("X10", f"new process sends {_size(size)} in 10 min", "T1204+T1059", 600, rate=size / 600,
                     process="xmr-agent", is_core=size != 10 * MB)  # fmt: skip
    for size in (1 * MB, 10 * MB, 100 * MB):
        yield Attack("X11", f"silent entity sends {_size(size)} in 10 min", "T1041", 600, rate=size / 600,
                     is_silent=True, is_core=size != 100 * MB)  # fmt: skip
    yield Attack("X11", "silent entity sends 1 KB (benign twin)", "", 60, rate=1 * KB / 60, is_silent=True,
                 is_benign=True, is_core=True)  # fmt: skip
    for size in (200 * MB, 1 * GB):
        yield Attack("X12", f"{_size(size)} in 30 min, a drip before", "T1041", 1800, rate=size / 1800,
                     poison_rate=50 * MB / HOUR_S, is_core=size == 1 * GB)  # fmt: skip


def grid() -> tuple[Attack, ...]:
    """Every scenario."""
    makers = (_bursts, _relative, _drips, _nights, _mimics, _tunnels, _beacons, _scans, _others)
    return tuple(attack for make in makers for attack in make())


def choose(words: Iterable[str]) -> tuple[Attack, ...]:
    """The scenarios named by `core`, `all`, or ids such as X3 (the core ones of that id). Raises UsageError."""
    everything = grid()
    chosen: list[Attack] = []
    for word in words:
        if word == "all":
            chosen += everything
        elif word == "core":
            chosen += [one for one in everything if one.is_core]
        elif any(one.id == word for one in everything):
            chosen += [one for one in everything if one.id == word and one.is_core]
        else:
            raise UsageError(f"no scenario {word!r}", hint="core, all, or any of X1 to X12")
    return tuple(dict.fromkeys(chosen))
