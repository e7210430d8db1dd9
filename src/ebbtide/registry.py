"""The extension points on one screen: what can be added without touching this package, and what is built in.

A plug-in is a package with an entry point in one of these groups; built-ins are registered by the same mapping. Loading
runs the plug-in's import, so it happens when asked for, never at import time here.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from ebbtide.detect.detection import AnyDetector
from ebbtide.detect.joined_detector import Joined
from ebbtide.detect.novelty_detector import Novelty
from ebbtide.detect.outbound_detector import Outbound
from ebbtide.detect.sigma import Sigma
from ebbtide.errors import ConfigError

#: Detectors that come with the package, by the name detections use.
DETECTORS: Mapping[str, AnyDetector] = {one.name: one for one in (Sigma(), Outbound(), Novelty(), Joined())}


def load_detectors() -> dict[str, AnyDetector]:
    """Every detector by name: the built-in ones and those of the entry point group `ebbtide.detectors`.

    Raises ConfigError when a plug-in cannot be imported or takes the name of another.
    """
    found = dict(DETECTORS)
    for point in entry_points(group="ebbtide.detectors"):
        try:
            detector: AnyDetector = point.load()()
        except Exception as error:  # a plug-in may raise anything; the operator must learn which one it was
            raise ConfigError(f"the detector plug-in {point.name!r} ({point.value}) failed to load: {error}") from error
        if point.name in found:
            raise ConfigError(f"two detectors are called {point.name!r}", hint=f"rename the one in {point.value}")
        found[point.name] = detector
    return found
