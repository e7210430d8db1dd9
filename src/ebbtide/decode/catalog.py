"""Which series some bytes belong to: every attribute set is parsed, mapped and hashed once, then found by its bytes.

In come a metric's surroundings and one point's attributes, out goes a small integer that indexes the catalog's
columns. Decoders look their raw bytes up in the `found` maps of `Surroundings` and `Context` and come here only for
what is new. Keys are remembered as they are while there is room for them, and by a digest of 16 bytes after that: a
million series fit, at the price of hashing each of their points. The catalog is bounded: when full it is emptied
between two bodies, and what was dropped is parsed again: slower, never wrong.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ebbtide.decode.label import Repair, canonical, clean, evidence, is_clean
from ebbtide.decode.mapping import Ignored, Labels, Mapped, Mapper, Meant
from ebbtide.series import Series

#: Some 600 bytes each, so at most about a gigabyte.
SERIES_MAX: Final = 1_500_000
#: Keys remembered as they are; later ones by their digest.
KEY_BYTES_MAX: Final = 192 * 1024 * 1024
_DIGEST_BYTES: Final = 16
#: Longer keys are not remembered: their points are parsed each time.
ONE_KEY_BYTES_MAX: Final = 8 * 1024

#: Of one resource and scope; more distinct metrics than this are made up.
METRICS_MAX: Final = 10_000
#: What the things around a key weigh, roughly: so that made-up resources and metrics fill the catalog too.
_SURROUNDINGS_BYTES: Final = 4_000
_CONTEXT_BYTES: Final = 2_000
_ENTRY_BYTES: Final = 100
#: Times outside are no times: a clock that was never set, or a wrong unit.
TIME_MIN_NS: Final = 946_684_800_000_000_000  # 2000-01-01
TIME_MAX_NS: Final = 7_258_118_400_000_000_000  # 2200-01-01

_OTHER_METRIC: Final = Ignored("other_metric")
#: Never used twice in a process, so a digest cannot outlive its context and mean another.
_SALTS: Final = itertools.count()
ACCEPTED: Final = 0
HEARTBEAT: Final = 1
_FIXED_VERDICTS: Final = ("accepted", "heartbeat")


@dataclass(frozen=True, slots=True)
class Scope:
    """The instrumentation scope of a metric: part of a series' identity."""

    name: str = ""
    version: str = ""
    attributes: Labels = field(default_factory=dict)


class Found(dict[Hashable, int]):
    """Bytes (or a tuple of them) -> id, of one context. `salt` tells its digests from those of other contexts."""

    __slots__ = ("salt",)

    def __init__(self) -> None:
        super().__init__()
        self.salt = next(_SALTS).to_bytes(8, "big")


class Context:
    """One metric in its surroundings: what all its points share. `found`: attribute bytes -> id."""

    __slots__ = ("found", "hasher", "is_weighed", "meant", "metric", "repair", "resource")

    def __init__(self, metric: str, meant: Meant | None, resource: Labels, scope: Scope) -> None:
        self.metric = metric
        self.meant = meant
        self.found = Found()
        self.is_weighed = False
        self.resource, self.repair = resource, Repair(0)
        resource_json = canonical(resource)
        if not is_clean(resource, resource_json):
            self.resource, self.repair = clean(resource)
        #: Fed with the canonical encoding of all that is shared. Canonical JSON holds no newline.
        self.hasher = hashlib.blake2b(digest_size=8)
        for part in (
            canonical({"metric": metric, "scope": scope.name, "version": scope.version}),
            canonical(scope.attributes),
            resource_json,
        ):
            self.hasher.update(part + b"\n")


class Surroundings:
    """The resource and scope that some metrics share.

    `found`: bytes of a metric with one point, but its head -> id. `headers`: those around that point -> its context.
    """

    __slots__ = ("_contexts", "found", "headers", "resource", "scope")

    def __init__(self, resource: Labels, scope: Scope) -> None:
        self.resource = resource
        self.scope = scope
        self.found = Found()
        self.headers: dict[tuple[bytes, bytes], Context | None] = {}
        self._contexts: dict[tuple[str, Meant | None], Context] = {}

    def context(self, metric: str, meant: Meant | None) -> Context:
        """The context of a metric here."""
        context = self._contexts.get((metric, meant))
        if context is None:
            if len(self._contexts) >= METRICS_MAX:
                self._contexts.clear()
                self.headers.clear()
            context = Context(metric, meant, self.resource, self.scope)
            self._contexts[metric, meant] = context
        return context


class Catalog:
    """All series seen lately, as columns by id (n,). Not shared between threads."""

    def __init__(self, mapper: Mapper, *, series_max: int = SERIES_MAX, key_bytes_max: int = KEY_BYTES_MAX) -> None:
        self.mapper = mapper
        self.series_max = series_max
        self.key_bytes_max = key_bytes_max
        #: Points that end later are from a wrong clock; the caller who knows the time sets it.
        self.time_max_ns = TIME_MAX_NS
        self._reset()

    def _reset(self) -> None:
        self._surroundings: dict[Hashable, Surroundings] = {}
        self._digests: dict[bytes, int] = {}
        #: The metrics of one edge come one after the other and share their attributes' text.
        self._last_text = (b"", "")
        self._key_bytes = 0
        self._shared_bytes = 0
        self.verdicts: list[str] = list(_FIXED_VERDICTS)
        self._verdict_ids = {reason: at for at, reason in enumerate(self.verdicts)}
        self.series: list[Series | None] = []
        self.clusters: dict[int, str] = {}
        self._ignored: dict[Ignored, int] = {}
        self._size = 0
        self.key: NDArray[np.int64] = np.zeros(1024, np.int64)
        self.verdict: NDArray[np.int16] = np.zeros(1024, np.int16)
        self.meant: NDArray[np.int8] = np.zeros(1024, np.int8)
        self.scale: NDArray[np.float64] = np.ones(1024, np.float64)
        self.repair: NDArray[np.uint8] = np.zeros(1024, np.uint8)

    def _grow(self) -> None:
        """Twice the room; new rows hold the defaults of `_reset`, so that most columns need no writing."""
        size = len(self.key)
        for name in ("key", "verdict", "meant", "repair"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate((column, np.zeros(size, column.dtype))))
        self.scale = np.concatenate((self.scale, np.ones(size)))

    def __len__(self) -> int:
        return self._size

    @property
    def remembered(self) -> int:
        """How many keys are remembered by their digest."""
        return len(self._digests)

    def begin(self) -> None:
        """Before a body: make room if the catalog is full. Ids from before are void after this."""
        is_full = self._size > self.series_max or len(self._digests) > self.series_max
        if is_full or self._shared_bytes > self.key_bytes_max:
            self._reset()
            self.mapper.forget()

    def surroundings(self, key: Hashable, key_bytes: int, make: Callable[[], tuple[Labels, Scope]]) -> Surroundings:
        """What a resource and scope with these bytes stand for. Too long ones are not remembered."""
        found = self._surroundings.get(key)
        if found is None:
            found = Surroundings(*make())
            if key_bytes <= ONE_KEY_BYTES_MAX:
                self._surroundings[key] = found
                self._shared_bytes += key_bytes + _SURROUNDINGS_BYTES
        return found

    def recall(self, found: Found, key: bytes) -> int | None:
        """The id of a key that `found` itself does not have, if it was learnt when there was no room for it."""
        return self._digests.get(_digest(found, key)) if self._digests else None

    def learn(self, found: Found, key: Hashable, key_bytes: int, context: Context, point: Labels) -> int:
        """The id of the series with these attributes, remembered in `found` under `key` unless that is too long."""
        at = self.add(context, point)
        if not context.is_weighed:
            context.is_weighed = True
            self._shared_bytes += _CONTEXT_BYTES
        if key_bytes > ONE_KEY_BYTES_MAX:
            return at
        if self._key_bytes <= self.key_bytes_max:
            found[key] = at
            self._key_bytes += key_bytes + _ENTRY_BYTES
        elif isinstance(key, bytes):
            self._digests[_digest(found, key)] = at
        return at

    def add(self, context: Context, point: Labels) -> int:
        """Map and hash one attribute set; its id."""
        if not self.mapper.wants(context.metric):
            return self._ignored_id(_OTHER_METRIC)
        point_json = canonical(point)
        shown, repair = point, context.repair
        if not is_clean(point, point_json):
            shown, of_point = clean(point)
            repair |= of_point
        mapped = self.mapper.map(context.metric, context.meant, shown, context.resource)
        if isinstance(mapped, Ignored):
            return self._ignored_id(mapped)
        hasher = context.hasher.copy()
        hasher.update(point_json)
        if not mapped.edge.own_cluster:
            hasher.update(b"\n" + self.mapper.default_cluster.encode())
        key = int.from_bytes(hasher.digest(), "big", signed=True)
        if context.resource or repair or len(point_json) > 8192:
            point_json, of_all = evidence({**context.resource, **shown})
            repair |= of_all
        return self._append(mapped, key, point_json, repair)

    def _append(self, mapped: Mapped, key: int, attributes: bytes, repair: Repair) -> int:
        at = self._next()
        self.key[at] = key
        if mapped.meant != Meant.DELTA:
            self.meant[at] = mapped.meant
        if mapped.scale != 1:
            self.scale[at] = mapped.scale
        if repair:
            self.repair[at] = repair
        edge = mapped.edge
        sender, receiver, source, destination = edge[:4]
        if mapped.is_received:
            sender, receiver, source, destination = receiver, sender, destination, source
        if attributes != self._last_text[0]:
            self._last_text = attributes, attributes.decode()
        text = self._last_text[1]
        self.series.append(Series(key, mapped.metric, sender, receiver, source, destination, edge.image_version, text))
        return at

    def _ignored_id(self, ignored: Ignored) -> int:
        """The one id for all that is ignored for this reason (and, for heartbeats, of this cluster)."""
        at = self._ignored.get(ignored)
        if at is not None:
            return at
        verdict = self._verdict_ids.get(ignored.reason)
        if verdict is None:
            verdict = self._verdict_ids[ignored.reason] = len(self.verdicts)
            self.verdicts.append(ignored.reason)
        at = self._ignored[ignored] = self._next()
        self.verdict[at] = verdict
        self.series.append(None)
        if verdict == HEARTBEAT:
            self.clusters[at] = ignored.cluster
        return at

    def _next(self) -> int:
        if self._size == len(self.key):
            self._grow()
        self._size += 1
        return self._size - 1


def _digest(found: Found, key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=_DIGEST_BYTES, salt=found.salt).digest()
