"""The same engine over history: what a detection would have said, tick by tick, and how noisy it would have been.

Each tick is `engine.evaluate` at its time, so a backtest says exactly what `detect` says there. Its findings then
become episodes, as the service's do: one matter is told once, however many ticks see it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from ebbtide.detect.detection import Detection, Detectors
from ebbtide.engine import Evaluation, evaluate
from ebbtide.finding.finding import HELD_BACK
from ebbtide.finding.lifecycle import Change, Episode, advance
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS
from ebbtide.store.view import View


def instants(from_ns: int, to_ns: int, every_ns: int) -> range:
    """The times of evaluation in [from_ns, to_ns], on the grid of `every_ns` since the epoch.

    >>> list(instants(5, 30, 10))
    [10, 20, 30]
    """
    return range(-(-from_ns // every_ns) * every_ns, to_ns + 1, every_ns)


def replay(
    store: View, detection: Detection, from_ns: int, to_ns: int, every_ns: int, detectors: Detectors = DETECTORS
) -> Iterator[Evaluation]:
    """One evaluation after the other. The caller has rolled the store up."""
    for now_ns in instants(from_ns, to_ns, every_ns):
        yield evaluate(store, detection, now_ns, detectors=detectors)


@dataclass(slots=True)
class Backtest:
    """What a detection said over a range, gathered tick by tick.

    `scored` and `unscored` count (entity, metric) pairs over all ticks. `episodes` are all episodes ever opened, by
    uid, with their last state; `fired` is how many rows the detection gave before they were joined.
    """

    detection: Detection
    ticks: int = 0
    entity_ticks: int = 0
    scored: int = 0
    unscored: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    fired: int = 0
    episodes: dict[str, Episode] = field(default_factory=dict)
    _current: tuple[Episode, ...] = ()
    _span: tuple[int, int] | None = None

    def add(self, evaluation: Evaluation) -> None:
        """Take the next tick in; ticks come in the order of their time."""
        self.ticks += 1
        self.entity_ticks += evaluation.entities
        self.scored += evaluation.scored
        self.unscored.update(evaluation.unscored)
        self.missing += evaluation.missing
        self.fired += len(evaluation.findings)
        first = evaluation.now_ns if self._span is None else self._span[0]
        self._span = (first, evaluation.now_ns)
        step = advance(self._current, evaluation.findings, evaluation.now_ns)
        self._current = step.episodes
        for change, episode in step.changes:
            if change is not Change.CLOSED or episode.finding.uid in self.episodes:
                self.episodes[episode.finding.uid] = episode

    @property
    def days(self) -> float:
        """Days from the first tick to the last, at least one tick's worth."""
        if self._span is None:
            return 0.0
        return (self._span[1] - self._span[0] + self.detection.every_ns) / DAY_NS

    @property
    def held_back(self) -> int:
        """Episodes that the daily cap of their entity kept from being told."""
        return sum(HELD_BACK in one.finding.hidden_by for one in self.episodes.values())

    def per_day(self) -> float:
        """Findings (episodes) a day, without those held back."""
        return (len(self.episodes) - self.held_back) / self.days if self.days else 0.0

    def noisiest(self, most: int = 10) -> list[tuple[str, int]]:
        """Entities with the most findings."""
        return Counter(str(one.finding.entity) for one in self.episodes.values()).most_common(most)

    def summary(self) -> dict[str, object]:
        """The figures as JSON-ready values: what `ebbtide backtest --json` and the page both say."""
        return {
            "detection": self.detection.id,
            "ticks": self.ticks,
            "days": round(self.days, 3),
            "rows": self.fired,
            "findings": len(self.episodes),
            "held_back": self.held_back,
            "findings_a_day": round(self.per_day(), 3),
            "scored": self.scored,
            "unscored": dict(self.unscored),
            "missing_labels": self.missing,
            "noisiest": [{"entity": name, "findings": many} for name, many in self.noisiest()],
        }
