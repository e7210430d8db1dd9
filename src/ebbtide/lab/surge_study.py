"""What clues would cut of benign surges, and what of recall: `python -m ebbtide.lab.surge_study [--seed N]`.

In: a simulated cluster of 91 days. Out: a table, a row per clue: findings per 1000 entity-days with each benign change
at budget 10, and recall of the nine scenarios sent to a new place, to one the entity knows, and with all coming back.
Where a clue holds it takes some nats from the score; thresholds are learned with it, so all rows have one budget.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.trailing_statistics import HOURS
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_scale import learn_thresholds
from ebbtide.lab.bench import (
    LEARN,
    SCORE,
    EventRaw,
    OutboundBench,
    ScaledDays,
    event_scores,
    fixed,
    scale_with,
    score_as,
)
from ebbtide.lab.cluster_negatives import choose_negatives
from ebbtide.lab.evaluate import EventScores, judge, realised
from ebbtide.lab.inject import RETURN_SHARE, Events, draw_events
from ebbtide.lab.inject_scenario import MAIN
from ebbtide.lab.report import table
from ebbtide.lab.simulate_benign import draw_plan
from ebbtide.lab.simulate_plan import PER_DAY, PER_HOUR, Draft, Draws, Parameters, Plan
from ebbtide.lab.stream import close_days, hourly_peaks, score_history
from ebbtide.lab.surge_clues import DAYS, is_known, is_usual_mix, is_usual_ratio, known_place, log_ratio
from ebbtide.lab.surge_cluster import Cluster, ClusterMaker
from ebbtide.series import Float64

CHANGED = range(70, 75)
#: Classes laid over days 70 to 75.
CLASSES = ("x5", "scale-out", "backups doubled", "backups 3 h", "growth", "cron", "retry storm")
#: An entity is judged if it sent so much both in the first 30 days and in the scored ones.
LEAST_SENT = 1e6
BUDGETS = (10.0, 3.0)
#: Name: the nats each clue takes off where it holds.
CLUES: dict[str, dict[str, float]] = {
    "none": {},
    "known places 2": {"known": 2.0},
    "known places 4": {"known": 4.0},
    "usual mix 1": {"mix": 1.0},
    "usual mix 2": {"mix": 2.0},
    "usual mix 4": {"mix": 4.0},
    "known 1, mix 1": {"known": 1.0, "mix": 1.0},
    "known 1, mix 2": {"known": 1.0, "mix": 2.0},
    "known 2, mix 2": {"known": 2.0, "mix": 2.0},
    "usual ratio 2": {"ratio": 2.0},
    "mix 2, ratio 1": {"mix": 2.0, "ratio": 1.0},
}
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Which clues hold, (rows, hours) each."""

    mix: Bools
    ratio: Bools
    known: Bools

    def discount(self, nats: Mapping[str, float]) -> Float64:
        """What is taken off the score, (rows, hours)."""
        off = np.zeros(self.mix.shape)
        for name, value in nats.items():
            off += np.where(getattr(self, name), value, 0.0)
        return off


class Study:
    """One cluster learned once, its clues, and what was planted."""

    def __init__(self, seed: int, entities: int) -> None:
        self.plan: Plan = draw_plan(Parameters(seed=seed, entities=entities, days=SCORE.stop))
        self.seed = seed
        maker = ClusterMaker(self.plan)
        everything = maker.whole()
        self._maker, self._everything = maker, everything
        days = np.nan_to_num(everything.traffic.sent).reshape(len(everything.mixes), SCORE.stop, -1).sum(axis=2)
        steady = (days[:, :30].sum(axis=1) > LEAST_SENT) & (days[:, SCORE.start :].sum(axis=1) > LEAST_SENT)
        self._steady = np.flatnonzero(steady)
        self.cluster = self._of(everything)
        self.options = OutboundOptions()
        self.bench = OutboundBench.run(self.cluster.traffic, self.options)
        [self.scaled] = fixed(self.bench)
        self.held = clues_of(self.cluster, range(LEARN.start, SCORE.stop), self.options.floor_per_hour)
        self.overlaps = [mix.overlap(LEARN.start, SCORE.stop) for mix in self.cluster.mixes]

    def _of(self, cluster: Cluster) -> Cluster:
        return Cluster(cluster.traffic.take(self._steady), tuple(cluster.mixes[at] for at in self._steady.tolist()))

    def changed(self, name: str) -> Cluster:
        """The cluster with one benign change laid over CHANGED."""
        [negative] = choose_negatives([name])
        draft = Draft.of(self.plan)
        first = self.plan.parameters.first + CHANGED.start * PER_DAY
        if negative.change is not None:
            negative.change(draft, Draws(self.seed, 50), first + 6 * PER_HOUR)
        return self._of(self._maker.changed(draft.finish(), self._everything, CHANGED))

    def scores(self, cluster: Cluster, *, is_alone: bool = True) -> Float64:
        """S of a changed cluster on the scored days; alone: what the others did is what they did unchanged."""
        traffic, options = cluster.traffic, self.options
        peaks = hourly_peaks(traffic.sent, traffic.received, traffic.step_s, options)
        raw = score_history(close_days(peaks, options), self.bench.models, range(SCORE.start - 1, SCORE.stop), options)
        if not is_alone:
            return scale_with(replace(self.bench, raw=raw), self.scaled.scale, (), SCORE).score
        return score_as(self.bench, self.scaled, raw.at(slice(SCORE.start * HOURS, SCORE.stop * HOURS)))


def hourly(side: Float64) -> Float64:
    """Sums by the hour of 5-minute steps, unknown steps as 0."""
    sums: Float64 = np.nan_to_num(side).reshape(len(side), -1, 12).sum(axis=2)
    return sums


def clues_of(cluster: Cluster, days: range, floor: float) -> Held:
    """The clues of each entity's hours on some days, from 14 days before each on."""
    sent, received = hourly(cluster.traffic.sent), hourly(cluster.traffic.received)
    mix, ratio, known = (np.zeros((len(sent), len(days) * HOURS), np.bool_) for _ in range(3))
    logs = log_ratio(sent, received, floor)
    for entity, places in enumerate(cluster.mixes):
        known[entity] = is_known(places, days.start, days.stop)
        overlap = places.overlap(days.start - DAYS, days.stop)
        for day in days:
            since = (day - days.start) * HOURS
            at, here = slice(since, since + HOURS), since + DAYS * HOURS
            mix[entity, at] = is_usual_mix(overlap[here : here + HOURS], overlap[here - DAYS * HOURS : here])
            now, past = slice(day * HOURS, (day + 1) * HOURS), logs[entity, (day - DAYS) * HOURS : day * HOURS]
            ratio[entity, at] = is_usual_ratio(sent[entity, now], received[entity, now], past, floor)
    return Held(mix, ratio, known)


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """A batch of events: scores, and which clues hold on the same grid."""

    scores: EventScores
    held: Held


def plant(study: Study, events: Events, *, has_met: bool, return_share: float) -> Planted:
    """Scores and clues of events sent to a new place or to one that each entity knows."""
    raw: EventRaw = study.bench.raw_of(events, return_share)
    scores = event_scores(study.bench, raw, (study.scaled,))
    traffic, floor = study.cluster.traffic, study.options.floor_per_hour
    sent, received = hourly(traffic.sent), hourly(traffic.received)
    random = np.random.default_rng([study.seed, events.draw, 7])
    shape = raw.raw.ratio.shape
    held = Held(*(np.zeros(shape, np.bool_) for _ in range(3)))
    steps_in = events.begin - raw.first * 12
    for row, entity in enumerate(events.entity.tolist()):
        first, mix = int(raw.first[row]), study.cluster.mixes[entity]
        days = range(first // HOURS, min((first + shape[1]) // HOURS, SCORE.stop))
        hours = len(days) * HOURS
        steps = np.zeros(max(shape[1], hours) * 12)
        steps[steps_in[row] : steps_in[row] + events.added.shape[1]] = events.added[row]
        added = steps.reshape(-1, 12).sum(axis=1)[:hours]
        place = known_place(mix, days.start, float(random.random())) if has_met else -1
        more = np.zeros((len(mix.sent) + 1, hours))
        more[place] = added
        overlap = mix.overlap(days.start, days.stop, more)
        since = (days.start - LEARN.start) * HOURS
        past = study.overlaps[entity][since - DAYS * HOURS : since]
        now = slice(first, first + hours)
        before = slice(first - DAYS * HOURS, first)
        logs = log_ratio(sent[entity, before], received[entity, before], floor)
        held.mix[row, :hours] = is_usual_mix(overlap, past)
        held.known[row, :hours] = is_known(mix, days.start, days.stop, more)
        both = sent[entity, now] + added, received[entity, now] + return_share * added
        held.ratio[row, :hours] = is_usual_ratio(*both, logs, floor)
    return Planted(scores, held)


def measure(study: Study) -> str:
    """The table."""
    kinds = {
        "new place": (False, RETURN_SHARE),
        "known place": (True, RETURN_SHARE),
        "known, all comes back": (True, 1.0),
    }
    drawn = [draw_events(study.cluster.traffic, one, SCORE, 0, study.seed) for one in MAIN]
    planted = {
        kind: [plant(study, one, has_met=known, return_share=share) for one in drawn]
        for kind, (known, share) in kinds.items()
    }
    clusters = {name: study.changed(name) for name in CLASSES}
    scores = {name: study.scores(one) for name, one in clusters.items()}
    together = study.scores(clusters["x5"], is_alone=False)
    clues = {name: clues_of(one, CHANGED, study.options.floor_per_hour) for name, one in clusters.items()}
    rows = []
    for name, nats in CLUES.items():
        cut = study.held.discount(nats)
        clean, lines = _rethresholded(study, cut)
        own = slice((CHANGED.start - SCORE.start) * HOURS, (CHANGED.stop - SCORE.start) * HOURS)
        cells = [f"{realised(clean.score > lines[0], float(len(clean.score) * len(SCORE))):.1f}",
                 f"{rate(clean.score[:, own] > lines[0]):.0f}"]  # fmt: skip
        for changed in CLASSES:
            score = scores[changed][:, own] - clues[changed].discount(nats)
            cells.append(f"{rate(score > lines[0]):.0f}")
        at_once = together[:, own] - clues["x5"].discount(nats)
        cells.append(f"{rate(at_once > lines[0]):.0f}")
        full = np.full((len(clean.score), SCORE.stop * HOURS), -np.inf)
        full[:, SCORE.start * HOURS :] = clean.score
        cells += [
            " / ".join(f"{recall(full, line, batches, nats):.2f}" for line in reversed(lines))
            for batches in planted.values()
        ]
        rows.append([name, *cells])
    head = [
        "clue",
        "realised",
        "unchanged, 70-75",
        *CLASSES,
        "x5, all at once",
        *(f"{kind} (3 / 10)" for kind in kinds),
    ]
    return table(head, rows)


def _rethresholded(study: Study, cut: Float64) -> tuple[ScaledDays, tuple[float, ...]]:
    """The clean score on the scored days with the clue's discount, and the thresholds learned with it."""
    split = len(LEARN) * HOURS
    learned = scale_with(study.bench, study.scaled.scale, (), LEARN).score - cut[:, :split]
    lines = learn_thresholds(learned, BUDGETS, study.options)
    scored = study.scaled
    return ScaledDays(scored.days, scored.scale, scored.score - cut[:, split:], lines, scored.others), lines


def rate(firing: Bools) -> float:
    """Findings per 1000 entity-days of hours (entities, hours)."""
    return realised(firing, firing.size / HOURS)


def recall(clean: Float64, line: float, batches: list[Planted], nats: Mapping[str, float]) -> float:
    """Mean paired recall of batches under clues, against a clean score (entities, hours) under the same ones."""
    lines = np.full(clean.shape[1], line)
    found = []
    for one in batches:
        told = one.scores
        scores = told.scores - one.held.discount(nats)
        batch = EventScores(told.name, told.entity, told.rho, scores, told.first, told.start, told.stop)
        found.append(float(judge(clean > line, lines, batch).paired.mean()))
    return float(np.mean(found))


def main(arguments: list[str] | None = None) -> int:
    """Simulate, learn, plant, print."""
    parser = argparse.ArgumentParser(prog="python -m ebbtide.lab.surge_study", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="seed of the cluster and of what is planted (default 1)")
    parser.add_argument("--entities", type=int, default=100, help="entities of the simulated cluster (default 100)")
    chosen = parser.parse_args(arguments)
    study = Study(chosen.seed, chosen.entities)
    print(f"{len(study.cluster.mixes)} steady entities of a simulated cluster, seed {chosen.seed}\n\n{measure(study)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
