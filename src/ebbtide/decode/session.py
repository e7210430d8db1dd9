"""The door to this room: one preset, its caches and counters, and every format behind two methods.

In come bodies or files, out come batches. A `Session` is what a caller keeps per source; it is not shared between
threads. Its counter state is handed in and out, so that a restart loses no interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from ebbtide.decode.catalog import TIME_MAX_NS, Catalog
from ebbtide.decode.files import Reader
from ebbtide.decode.formats import DECODERS, Decoder
from ebbtide.decode.mapping import Mapper
from ebbtide.decode.preset import Preset
from ebbtide.decode.temporality import CounterState
from ebbtide.errors import UsageError
from ebbtide.series import Batch


class Session:
    """Decodes the bodies and files of one source.

    `default_cluster` names the cluster of points that name none; it is part of their series' identity. `readings` are
    the last readings of a former session, from `export_readings` or the store: (key, (start_ns, end_ns, reading)).
    `state`: counters shared with other sessions of the same thread, for a source that comes by several ways; None: its
    own.
    """

    def __init__(
        self,
        preset: Preset,
        *,
        default_cluster: str = "default",
        readings: Iterable[tuple[int, tuple[int, int, float]]] = (),
        state: CounterState | None = None,
    ) -> None:
        self.preset = preset
        self.catalog = Catalog(Mapper(preset, default_cluster))
        self.state = CounterState() if state is None else state
        self.state.restore(readings)
        self._decoders: dict[str, Decoder] = {}

    @property
    def notice(self) -> str:
        """What to tell the operator before relying on this preset; "" if there is nothing to say."""
        return self.preset.notice

    def decode(self, format_name: str, body: bytes, *, not_after_ns: int = TIME_MAX_NS) -> Batch:
        """The samples of one body (uncompressed). Raises DecodeError if the body is not of this format at all.

        `not_after_ns`: points that end later are rejected as `in_future`, before they touch the counters. A live caller
        gives now plus some minutes: else one reading from a wrong clock makes all later ones of its series late.
        Formats are the keys of `formats.DECODERS`; another one raises UsageError.
        """
        self.catalog.time_max_ns = not_after_ns
        return self._decoder(format_name).decode(body, self.state)

    def reader(self, file: BinaryIO, format_name: str | None = None) -> Reader:
        """A reader of a whole file, which also says afterwards which lines were bad."""
        self.catalog.time_max_ns = TIME_MAX_NS
        return Reader(file, self._decoder, self.state, format_name)

    def read(self, file: BinaryIO, format_name: str | None = None) -> Iterator[Batch]:
        """The batches of a file, in its order; the format is found from its first bytes if not given."""
        return iter(self.reader(file, format_name))

    def export_readings(self) -> dict[int, tuple[int, int, float]]:
        """Series key -> (start_ns, end_ns, reading), for the next session."""
        return self.state.export()

    def _decoder(self, format_name: str) -> Decoder:
        found = self._decoders.get(format_name)
        if found is None:
            factory = DECODERS.get(format_name)
            if factory is None:
                raise UsageError(f"no format {format_name!r}", hint="one of: " + ", ".join(DECODERS))
            found = self._decoders[format_name] = factory(self.catalog)
        return found
