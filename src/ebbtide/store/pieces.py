"""Time cut into pieces whose sums are kept in memory, so that an instant reads only the samples that came since.

Pieces lie on a grid of minutes and five minutes, whatever the instant; what a piece holds is voided by whatever is
stored into it later. Without it each tick would read again, every minute, all samples of hours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, TypeVar, cast

import numpy as np

from ebbtide.series import HOUR_NS, MINUTE_NS, Int64

#: The larger pieces; they divide an hour.
FIVE_NS: Final = 5 * MINUTE_NS
#: So many pieces are read at once at most: what is read is grouped by piece.
_TOGETHER: Final = 6


class Piece(NamedTuple):
    """Samples that end in (start, end], both in nanoseconds."""

    start_ns: int
    end_ns: int

    @property
    def is_kept(self) -> bool:
        """Whether a later instant will ask for it: it ends on the minute, or just before the hour at either end."""
        return all(ns % MINUTE_NS == 0 or (ns + 1) % HOUR_NS == 0 for ns in self)


class Sized(Protocol):
    """What a piece holds."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory, about."""


T = TypeVar("T", bound=Sized)


def cut(from_ns: int, to_ns: int) -> list[Piece]:
    """The pieces of (from, to], in order: fives where they fit, minutes around them, a rest at both ends.

    >>> [(a // MINUTE_NS, b // MINUTE_NS) for a, b in cut(3 * MINUTE_NS, 11 * MINUTE_NS)]
    [(3, 4), (4, 5), (5, 10), (10, 11)]
    """
    pieces, at = [], from_ns
    while at < to_ns:
        if at % FIVE_NS == 0 and at + FIVE_NS <= to_ns:
            end = at + FIVE_NS
        else:
            end = min((at // MINUTE_NS + 1) * MINUTE_NS, to_ns)
        pieces.append(Piece(at, end))
        at = end
    return pieces


def runs(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Pieces of one length that follow each other, a few at once: piece number `(end - 1 - start) // length`."""
    run: list[Piece] = []
    for piece in pieces:
        is_next = run and piece.start_ns == run[-1].end_ns and _length(piece) == _length(run[-1])
        if run and (not is_next or len(run) == _TOGETHER):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _length(piece: Piece) -> int:
    return piece.end_ns - piece.start_ns


@dataclass(slots=True, eq=False)
class _Reading:
    """Pieces that are being read, and whether something came into them since."""

    pieces: tuple[Piece, ...]
    voided: set[Piece] = field(default_factory=set)


class PieceCache:
    """What pieces hold, by kind; shared by all views, and used from any thread. At most `most_bytes` are kept."""

    def __init__(self, most_bytes: int = 512 << 20) -> None:
        self._held: dict[tuple[str, Piece], Sized] = {}
        self._readings: set[_Reading] = set()
        self._lock = threading.Lock()
        self._most_bytes = most_bytes
        self._bytes = 0

    def of(
        self,
        kind: str,
        pieces: Sequence[Piece],
        read: Callable[[list[Piece]], Iterable[T]],
        merge: Callable[[list[T]], T] | None = None,
        *,
        is_latest_alone: bool = False,
    ) -> list[T]:
        """What these pieces hold, in order: kept, or read a run at a time (`read` gives one for each piece of a run).

        With `merge` a five of which all minutes are kept is made from them, and takes their place. `is_latest_alone`:
        of this kind only what was read last is kept, as no later instant asks for what it held before.
        """
        found = {piece: cast(T, one) for piece in pieces if (one := self._get(kind, piece, merge)) is not None}
        for run in runs(piece for piece in pieces if piece not in found):
            reading = self._begin(run)
            try:
                for piece, held in zip(run, read(run), strict=True):
                    found[piece] = held
                    if is_latest_alone:
                        self._drop_kind(kind)
                    self._put(kind, piece, held, reading)
            finally:
                with self._lock:
                    self._readings.discard(reading)
        return [found[piece] for piece in pieces]

    def void(self, end_ns: Int64) -> None:
        """Forget the pieces in which any of these ends (n,) lie, and what is being read of them."""
        with self._lock:
            latest = max((one.end_ns for _, one in self._held), default=0)
            latest = max([latest, *(one.pieces[-1].end_ns for one in self._readings)])
            touched = np.unique(end_ns[end_ns <= latest])
            if not len(touched):
                return
            for key in [key for key in self._held if _is_touched(key[1], touched)]:
                self._drop(key)
            for reading in self._readings:
                reading.voided.update(piece for piece in reading.pieces if _is_touched(piece, touched))

    def forget(self) -> None:
        """Forget everything."""
        with self._lock:
            self._held.clear()
            self._bytes = 0
            for reading in self._readings:
                reading.voided.update(reading.pieces)

    @property
    def nbytes(self) -> int:
        """Bytes that are kept."""
        return self._bytes

    def _get(self, kind: str, piece: Piece, merge: Callable[[list[Any]], Sized] | None) -> Sized | None:
        with self._lock:
            held = self._held.pop((kind, piece), None)
            if held is not None:
                self._held[kind, piece] = held  # what was asked for last is given up last
                return held
            if merge is None or _length(piece) != FIVE_NS:
                return None
            minutes = [(kind, Piece(at, at + MINUTE_NS)) for at in range(*piece, MINUTE_NS)]
            if not all(key in self._held for key in minutes):
                return None
            held = merge([self._held[key] for key in minutes])
            for key in minutes:
                self._drop(key)
            self._keep((kind, piece), held)
            return held

    def _drop_kind(self, kind: str) -> None:
        with self._lock:
            for key in [key for key in self._held if key[0] == kind]:
                self._drop(key)

    def _begin(self, run: list[Piece]) -> _Reading:
        reading = _Reading(tuple(run))
        with self._lock:
            self._readings.add(reading)
        return reading

    def _put(self, kind: str, piece: Piece, held: Sized, reading: _Reading) -> None:
        with self._lock:
            if piece.is_kept and piece not in reading.voided:
                self._keep((kind, piece), held)

    def _keep(self, key: tuple[str, Piece], held: Sized) -> None:
        self._drop(key)
        self._held[key] = held
        self._bytes += held.nbytes
        while self._bytes > self._most_bytes and self._held:
            self._drop(next(iter(self._held)))

    def _drop(self, key: tuple[str, Piece]) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            self._bytes -= held.nbytes


def _is_touched(piece: Piece, ends: Int64) -> bool:
    """Whether any of these ends, ascending, lies in a piece."""
    first, last = np.searchsorted(ends, piece, side="right")
    return bool(first < last)


def ends_of(hour: int) -> Int64:
    """Ends (n,) of which one lies in every piece in which a sample of an hour can end."""
    return np.append(np.arange(hour * HOUR_NS, (hour + 1) * HOUR_NS, MINUTE_NS), (hour + 1) * HOUR_NS - 1)


def split(rows: dict[str, np.ndarray[Any, Any]], count: int) -> list[dict[str, np.ndarray[Any, Any]]]:
    """Rows by their `piece` (0 to count - 1), each without that column."""
    piece = rows.pop("piece")
    order = np.argsort(piece, kind="stable")
    cuts = np.searchsorted(piece[order], np.arange(1, count))
    columns = {name: np.split(np.asarray(column)[order], cuts) for name, column in rows.items()}
    return [{name: parts[at] for name, parts in columns.items()} for at in range(count)]
