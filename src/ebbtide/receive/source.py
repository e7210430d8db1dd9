"""Whose names a body uses: a preset and a cluster, the key under which the intake keeps a decoder.

Listeners with the same preset and cluster share a source, so a counter may come by either. A pinned source does not
believe what points say about their cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ebbtide.decode.preset import Preset, load_preset, parse_preset
from ebbtide.errors import ConfigError
from ebbtide.receive.settings import Listener


@dataclass(frozen=True, slots=True)
class Source:
    """A preset, and the cluster of points that name none. `key` is equal for sources that decode alike."""

    preset: Preset
    cluster: str
    key: tuple[str, str]

    @classmethod
    def of(cls, preset: Preset, cluster: str) -> Self:
        """A source with its key."""
        return cls(preset, cluster, (preset.model_dump_json(), cluster))


def sources_of(listener: Listener) -> dict[str | None, Source]:
    """The sources of all senders this listener may have, by the cluster they are pinned to (None: to none).

    Raises as `source_of`.
    """
    pins = {token.cluster for token in listener.tokens} | {listener.cluster if listener.is_pinned else None}
    return {pin: source_of(listener, pin) for pin in [None, *sorted(pins - {None}, key=str)]}


def source_of(listener: Listener, cluster: str | None) -> Source:
    """The source of a sender on this listener; `cluster` is the one it is pinned to, None if it is not.

    Raises ConfigError for a preset that cannot be read, NotFoundError for one that does not exist.
    """
    preset = _preset(listener)
    return Source.of(preset, listener.cluster) if cluster is None else Source.of(pinned(preset), cluster)


def pinned(preset: Preset) -> Preset:
    """The preset without a word about clusters: everything is the default's.

    What a point says about the cluster at its other end goes too; else a sender could name its own there.
    """
    sides = {name: getattr(preset, name).model_copy(update={"environment": []}) for name in ("sender", "receiver")}
    return preset.model_copy(update={"cluster": [], "default_cluster": True, **sides})


def _preset(listener: Listener) -> Preset:
    path = listener.preset_file
    if path is None:
        return load_preset(listener.preset)
    try:
        return parse_preset(path.read_text("utf-8"), where=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the preset {path}: {error}", where=listener.address) from error
