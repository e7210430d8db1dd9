"""What a detector of changed roles would add to outbound: `python -m ebbtide.lab.balance_study [--seed N]`.

The balance of an hour is ln((sent + c) / (received + c)). A process whose balance was never above 0 on 30 closed days
(it only ever received more than it sent) and is now has begun to push or to serve; the reverse has begun to fetch.
In: recorded or simulated traffic. Out: a row per rule: false findings, paired recall of the nine scenarios, and both of
outbound with a twentieth of its budget given to the rule. Who opens a connection cannot be used: the source counts a
new socket on the side that reports first, whether it connected or accepted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ebbtide.baseline.trailing_statistics import HOURS
from ebbtide.lab.bench import LEARN, SCORE, EventRaw, OutboundBench, clean_scores, event_scores, fixed
from ebbtide.lab.bitbrains import data_directory, read_bitbrains
from ebbtide.lab.evaluate import EventScores, fixed_thresholds, judge, realised
from ebbtide.lab.inject import RETURN_SHARE, draw_events, with_events
from ebbtide.lab.inject_scenario import MAIN
from ebbtide.lab.report import table
from ebbtide.lab.surge_study import CHANGED, CLASSES, Study, hourly
from ebbtide.lab.traffic import Traffic
from ebbtide.series import Float64

#: Bytes of an hour, added to both sides: a tenth of outbound's, so that small processes have a balance too.
FLOOR = 1e6
HISTORY_DAYS = 30
#: What outbound is given alone, and what both get together.
BUDGET, REST, OWN = 10.0, 9.5, 0.5


def balance(sent: Float64, received: Float64) -> Float64:
    """The balance of each hour, from sums by the hour in both directions; bytes.

    >>> balance(np.array([9e6]), np.array([0.0])).round(2), balance(np.array([0.0]), np.array([9e6])).round(2)
    (array([2.3]), array([-2.3]))
    """
    found: Float64 = np.log((sent + FLOOR) / (received + FLOOR))
    return found


def records(values: Float64) -> Float64:
    """For each day the largest value of the 30 days before, (rows, days) of (rows, hours); inf on the first 30."""
    daily = values.reshape(len(values), -1, HOURS).max(axis=2)
    found = np.full(daily.shape, np.inf)
    for day in range(HISTORY_DAYS, daily.shape[1]):
        found[:, day] = daily[:, day - HISTORY_DAYS : day].max(axis=1)
    return found


def record_surprise(values: Float64, record: Float64) -> Float64:
    """-ln(findings per 1000 entity-days) of an hour above the record of 30 days, -inf below, by fan-out's rule.

    A record of 30 days is broken on one day in 31, and by a factor f of sent over received on a share f ^ -2 of these.
    """
    over = values - record
    found: Float64 = np.log((HISTORY_DAYS + 1.0) / 1000.0) + 2.0 * over
    return np.where(over > 0, found, -np.inf)


def role_surprise(values: Float64, record: Float64) -> Float64:
    """The same where no hour of the 30 days had a balance above 0: the sign changes, not only the size."""
    return np.where(record <= 0, record_surprise(values, np.zeros_like(record)), -np.inf)


Rule = Callable[[Float64, Float64], Float64]
#: Name: the rule, and the sign of the balance it looks at.
RULES: dict[str, tuple[Rule, float]] = {
    "begins to push or serve": (role_surprise, 1.0),
    "begins to fetch": (role_surprise, -1.0),
    "more lopsided than ever": (record_surprise, 1.0),
}


def scores_of(rule: Rule, sign: float, traffic: Traffic) -> Float64:
    """The rule's score of every hour, (entities, hours)."""
    hours = sign * balance(hourly(traffic.sent), hourly(traffic.received))
    return rule(hours, np.repeat(records(hours), HOURS, axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A fleet with outbound's scores, clean and of every batch of events."""

    bench: OutboundBench
    clean: Float64
    raws: tuple[EventRaw, ...]
    batches: tuple[EventScores, ...]
    thresholds: dict[float, float]

    @classmethod
    def of(cls, bench: OutboundBench, seed: int) -> Ground:
        """Learned on days 30 to 60; the events of the nine scenarios lie on the days after them."""
        budgets = (BUDGET, REST)
        scaled = fixed(bench, budgets)
        clean = clean_scores(bench, scaled)
        raws = tuple(bench.raw_of(draw_events(bench.traffic, one, SCORE, 0, seed)) for one in MAIN)
        batches = tuple(event_scores(bench, one, scaled) for one in raws)
        return cls(bench, clean.score, raws, batches, dict(zip(budgets, scaled[0].thresholds, strict=True)))

    def event_scores(self, rule: Rule, sign: float) -> list[Float64]:
        """The rule's score of every hour of each batch; records are those of the clean stream."""
        traffic = self.bench.traffic
        record = records(sign * balance(hourly(traffic.sent), hourly(traffic.received)))
        found = []
        for raw in self.raws:
            events = with_events(traffic, raw.events, 1, RETURN_SHARE)
            hours = sign * balance(hourly(events.sent), hourly(events.received))[:, HOURS:]
            day = np.minimum(raw.first[:, None] + np.arange(hours.shape[1]), record.shape[1] * HOURS - 1) // HOURS
            found.append(rule(hours, record[raw.events.entity[:, None], day]))
        return found


@dataclass(frozen=True, slots=True)
class Measured:
    """Findings per 1000 entity-days, paired recall, and events that outbound at budget 10 does not tell."""

    false: float
    recall: float
    extra: int


def measure(ground: Ground, outbound: float, rule: tuple[Float64, list[Float64], float] | None) -> Measured:
    """Both together: outbound above a threshold (inf: not at all), or a rule's scores above its own."""
    fires = ground.clean > outbound
    if rule is not None:
        fires |= rule[0] > rule[2]
    hits, extra, line = [], 0, ground.thresholds[BUDGET]
    for at, batch in enumerate(ground.batches):
        both = batch.scores > outbound
        if rule is not None:
            both |= rule[1][at] > rule[2]
        alone = judge(ground.clean > line, np.full(fires.shape[1], line), batch)
        told = judge(fires, np.full(fires.shape[1], 0.5), batch_with(batch, both.astype(np.float64)))
        hits.append(told.paired)
        extra += int((told.paired & ~alone.raw).sum())
    judged = fires[:, SCORE.start * HOURS :]
    return Measured(realised(judged, judged.size / HOURS), float(np.concatenate(hits).mean()), extra)


def batch_with(batch: EventScores, scores: Float64) -> EventScores:
    """The same events with other scores."""
    return EventScores(batch.name, batch.entity, batch.rho, scores, batch.first, batch.start, batch.stop)


def rows_of(ground: Ground) -> list[list[str]]:
    """A row for outbound alone and two for each rule: by itself at budget 10, and with outbound."""
    learned = slice(LEARN.start * HOURS, LEARN.stop * HOURS)
    rows = [_row("outbound alone", measure(ground, ground.thresholds[BUDGET], None))]
    for name, (rule, sign) in RULES.items():
        clean, events = scores_of(rule, sign, ground.bench.traffic), ground.event_scores(rule, sign)
        full, small = fixed_thresholds(clean[:, learned], (BUDGET, OWN))
        rows.append(_row(f"{name}, alone", measure(ground, np.inf, (clean, events, full))))
        rows.append(_row(f"{name}, with outbound", measure(ground, ground.thresholds[REST], (clean, events, small))))
    return rows


def _row(name: str, one: Measured) -> list[str]:
    return [name, f"{one.false:.1f}", f"{one.recall:.3f}", str(one.extra)]


def surge_rows(study: Study) -> list[list[str]]:
    """A row per benign change: the rules' findings per 1000 entity-days at budget 10 on the changed days."""
    learned = slice(LEARN.start * HOURS, LEARN.stop * HOURS)
    changed = slice(CHANGED.start * HOURS, CHANGED.stop * HOURS)
    lines = {
        name: fixed_thresholds(scores_of(rule, sign, study.cluster.traffic)[:, learned], (BUDGET,))[0]
        for name, (rule, sign) in RULES.items()
    }
    rows = []
    for title, cluster in [("unchanged", study.cluster), *((one, study.changed(one)) for one in CLASSES)]:
        cells = [title]
        for name, (rule, sign) in RULES.items():
            fires = scores_of(rule, sign, cluster.traffic)[:, changed] > lines[name]
            cells.append(f"{realised(fires, fires.size / HOURS):.0f}")
        rows.append(cells)
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--entities", type=int, default=60)
    parser.add_argument("--recorded", action="store_true", help="also the recorded machines")
    found = parser.parse_args()
    head = ["", "false / 1000 entity-days", "paired recall", "not told by outbound alone"]
    study = Study(found.seed, found.entities)
    sys.stdout.write(table(head, rows_of(Ground.of(study.bench, found.seed))) + "\n\n")
    sys.stdout.write(table(["benign change", *RULES], surge_rows(study)) + "\n")
    if found.recorded:
        bench = OutboundBench.run(read_bitbrains(data_directory()), study.options)
        sys.stdout.write("\n" + table(head, rows_of(Ground.of(bench, found.seed))) + "\n")


if __name__ == "__main__":
    main()
