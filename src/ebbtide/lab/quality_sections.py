"""The sections of the quality report: each measures one thing and says it as Markdown.

In: a fleet learned once (`Measured`). Out: text, with the design study's figures beside ours where it has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ebbtide.lab import study
from ebbtide.lab.bench import (
    LEARN,
    SCORE,
    CleanScores,
    EventRaw,
    OutboundBench,
    ScaledDays,
    clean_scores,
    daily,
    event_scores,
    fixed,
    score_as,
)
from ebbtide.lab.evaluate import (
    BUDGETS,
    EventScores,
    Recall,
    Verdicts,
    bootstrap_realised,
    bootstrap_recall,
    fixed_thresholds,
    judge,
    realised,
    summarise_verdicts,
)
from ebbtide.lab.inject import Events, draw_events
from ebbtide.lab.inject_scenario import FURTHER, MAIN
from ebbtide.lab.negatives import CHANGES, findings_of
from ebbtide.lab.peers import PEERS, Peer, peer_events
from ebbtide.lab.peers_forest import FOREST, cost, some
from ebbtide.lab.report import pair, table, two
from ebbtide.lab.sliding import Delays, delays, run_sliding, sliding_events
from ebbtide.lab.traffic import Traffic
from ebbtide.lab.young import young_events, young_scores
from ebbtide.series import Float64

IN_MEAN = frozenset(scenario.name for scenario in MAIN)
DRAWS = (0, 1)
FIRST_HOUR = SCORE.start * 24
YOUNG_DAYS = (1, 2, 3, 5, 7, 14, 30)
RETURN_SHARES = (0.0, 0.03, 0.1, 0.3, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A fleet learned once: the bench, its fixed scale, clean scores under it, and the raw scores of all events."""

    bench: OutboundBench
    scaled: tuple[ScaledDays, ...]
    clean: CleanScores
    events: tuple[EventRaw, ...]
    seed: int

    @property
    def entity_days(self) -> float:
        """Entity-days of the scored days."""
        return float(len(self.bench.traffic.names) * len(SCORE))


def measure(bench: OutboundBench, seed: int) -> Measured:
    """Learn the fixed scale and score all events of the nine scenarios, two draws each."""
    scaled = fixed(bench)
    events = tuple(bench.raw_of(draw_events(bench.traffic, one, SCORE, draw, seed)) for one in MAIN for draw in DRAWS)
    return Measured(bench, scaled, clean_scores(bench, scaled), events, seed)


@dataclass(frozen=True, slots=True)
class Row:
    """One budget's outcome: recall, realised findings, and the verdicts behind them."""

    recall: Recall
    findings: float
    verdicts: list[Verdicts]


def outcome(clean: Float64, thresholds: Float64, batches: list[EventScores], entity_days: float) -> Row:
    """Recall and realised findings of clean scores (entities, hours) under thresholds (hours,)."""
    firing = clean > thresholds
    verdicts = [judge(firing, thresholds, batch) for batch in batches]
    return Row(summarise_verdicts(verdicts, IN_MEAN), realised(firing, entity_days), verdicts)


def outcomes(measured: Measured, scaled: tuple[ScaledDays, ...]) -> list[Row]:
    """One outcome per budget under some scales."""
    clean = clean_scores(measured.bench, scaled)
    batches = [event_scores(measured.bench, raw, scaled) for raw in measured.events]
    return [outcome(clean.score, line, batches, measured.entity_days) for line in clean.thresholds]


def main_table(measured: Measured) -> str:
    """Recall and realised findings at each budget: fixed, daily, exact; the study's beside ours."""
    rows_fixed, rows_daily = outcomes(measured, measured.scaled), outcomes(measured, daily(measured.bench))
    exact = exact_outcomes(measured)
    rows = []
    for place, budget in enumerate(BUDGETS):
        key, ours, reset = int(budget), rows_fixed[place], rows_daily[place]
        rows.append(
            [
                f"{key}",
                pair(ours.recall.mean, ours.findings),
                pair(*study.FIXED[key]),
                pair(reset.recall.mean, reset.findings),
                pair(*study.DAILY[key]),
                f"{exact[place].recall.mean:.2f}",
                f"{study.EXACT[key]:.2f}",
                f"{ours.recall.raw:.2f}",
            ]
        )
    head = ["budget", "fixed", "study", "daily", "study", "exact", "study", "raw hits, fixed"]
    parts = [table(head, rows), _intervals(measured, rows_fixed), _by_scenario(rows_fixed), _by_rho(rows_fixed)]
    return "\n\n".join([*parts, _noise(measured)])


def exact_outcomes(measured: Measured) -> list[Row]:
    """One outcome per budget at the line that realises at most the budget on the scored days: it looks ahead."""
    scores = measured.clean.score
    batches = [event_scores(measured.bench, raw, measured.scaled) for raw in measured.events]
    lines = fixed_thresholds(scores[:, FIRST_HOUR:])
    return [outcome(scores, np.full(scores.shape[1], line), batches, measured.entity_days) for line in lines]


def _intervals(measured: Measured, rows: list[Row]) -> str:
    cells = []
    for place, row in enumerate(rows):
        firing = measured.clean.score[:, FIRST_HOUR:] > measured.clean.thresholds[place, FIRST_HOUR:]
        low, high = bootstrap_recall(row.verdicts, len(firing), measured.seed)
        few, many = bootstrap_realised(firing, measured.entity_days, measured.seed)
        cells.append([f"{int(BUDGETS[place])}", f"{low:.2f}-{high:.2f}", f"{few:.1f}-{many:.1f}"])
    return table(["budget", "recall, 95 % by entity", "realised, 95 % by entity"], cells)


def _by_scenario(rows: list[Row]) -> str:
    cells = []
    for name in rows[0].recall.by_scenario:
        ours = [row.recall.by_scenario[name] for row in reversed(rows)]
        cells.append([name, " / ".join(two(ours)), " / ".join(two(study.BY_SCENARIO[name]))])
    return table(["scenario (budget 1 / 3 / 10 / 30 / 100)", "ours", "study"], cells)


def _by_rho(rows: list[Row]) -> str:
    names = ("< 0.03", "0.03-0.1", "0.1-0.3", "0.3-1", "1-3", "3-10", "> 10")
    cells = []
    for place, name in enumerate(names):
        ours = [row.recall.by_rho[place][1] for row in reversed(rows)]
        events, theirs = study.BY_RHO[place]
        count = rows[0].recall.by_rho[place][0]
        cells.append([name, f"{count}", " / ".join(two(ours)), f"{events}", " / ".join(two(theirs))])
    return table(["rho (budget 1 / 3 / 10 / 30 / 100)", "events", "ours", "events", "study"], cells)


def _noise(measured: Measured) -> str:
    """Who makes the findings at budget 10."""
    place = BUDGETS.index(10.0)
    firing = measured.clean.score[:, FIRST_HOUR:] > measured.clean.thresholds[place, FIRST_HOUR:]
    per_entity = np.sort([realised(row[None], 1000.0) for row in firing])[::-1]
    tenth = per_entity[: len(per_entity) // 10].sum() / per_entity.sum()
    together = firing.sum(axis=0) >= 5
    return (
        f"At budget 10 the noisiest tenth of the entities makes {tenth:.0%} of the findings, "
        f"{int((per_entity > 0).sum())} of {len(firing)} entities fire at all, and "
        f"{firing[:, together].sum() / max(firing.sum(), 1):.0%} of the firing hours lie where five or more fire."
    )


def further_table(measured: Measured) -> str:
    """Scenarios outside the mean."""
    bench, seed = measured.bench, measured.seed
    raws = [bench.raw_of(draw_events(bench.traffic, one, SCORE, draw, seed)) for one in FURTHER for draw in DRAWS]
    batches = [event_scores(bench, raw, measured.scaled) for raw in raws]
    cells = []
    for scenario in FURTHER:
        own = [batch for batch in batches if batch.name == scenario.name]
        found = [
            np.concatenate([judge(measured.clean.score > line, line, batch).paired for batch in own]).mean()
            for line in reversed(measured.clean.thresholds)
        ]
        cells.append([scenario.name, " / ".join(two(found)), " / ".join(two(study.BY_SCENARIO[scenario.name]))])
    return table(["not in the mean (budget 1 / 3 / 10 / 30 / 100)", "ours", "study"], cells)


def sliding_table(measured: Measured) -> str:
    """A decision every 5 minutes: recall, delay, bytes lost; one draw."""
    sliding = run_sliding(measured.bench)
    drawn = [draw_events(measured.bench.traffic, one, SCORE, 0, measured.seed) for one in (*MAIN, FURTHER[0])]
    batches = [sliding_events(sliding, events) for events in drawn]
    per_hour = measured.bench.traffic.steps_per_hour
    budgets, waits = [], []
    for place, budget in enumerate(BUDGETS):
        line = sliding.thresholds[place]
        firing = sliding.score > line
        verdicts = [judge(firing, np.full(firing.shape[1], line), batch) for batch in batches]
        found = realised(firing, measured.entity_days, measured.bench.options.merge_hours * per_hour)
        recall = summarise_verdicts(verdicts, IN_MEAN).mean
        budgets.append([f"{int(budget)}", pair(recall, found), pair(*study.SLIDING[int(budget)])])
        if budget == 10.0:
            waits = [
                _delay_row(events, delays(sliding, events, batch, verdict.paired, line))
                for events, batch, verdict in zip(drawn, batches, verdicts, strict=True)
            ]
    head = ["budget 10: minutes median / p90, MB lost median / p90, share lost median", "ours", "study"]
    return "\n\n".join([table(["budget, a decision every 5 min", "ours", "study"], budgets), table(head, waits)])


def _delay_row(events: Events, waits: Delays) -> list[str]:
    minutes, lost = waits.minutes, waits.lost / 1e6
    ours = (np.median(minutes), np.percentile(minutes, 90), np.median(lost), np.percentile(lost, 90))
    theirs = study.DELAYS[events.scenario.name]
    return [
        events.scenario.name,
        " / ".join(f"{value:.0f}" for value in ours) + f" / {np.median(waits.share):.2f}",
        " / ".join(f"{value:.0f}" for value in theirs[:4]) + f" / {theirs[4]:.2f}",
    ]


def negatives_table(measured: Measured) -> str:
    """Benign changes: findings per 1000 entity-days."""
    rows = []
    for change in CHANGES:
        ours = findings_of(measured.bench, measured.scaled[0], change)[1:4]
        theirs = study.NEGATIVES[change.name]
        rows.append([change.name, " / ".join(f"{one:.1f}" for one in ours), " / ".join(f"{one:.1f}" for one in theirs)])
    return table(["benign change (budget 30 / 10 / 3)", "ours", "study"], rows)


def return_table(measured: Measured) -> str:
    """Recall against the share of return traffic; one draw."""
    rows = []
    for share in RETURN_SHARES:
        raws = [measured.bench.raw_of(raw.events, share) for raw in measured.events if raw.events.draw == 0]
        batches = [event_scores(measured.bench, raw, measured.scaled) for raw in raws]
        found = [
            outcome(measured.clean.score, line, batches, measured.entity_days).recall.mean
            for line in measured.clean.thresholds
        ]
        rows.append([f"{share:g}", " / ".join(two(found)), " / ".join(two(study.RETURN_SHARE[share]))])
    return table(["return share (budget 100 / 30 / 10 / 3 / 1)", "ours", "study"], rows)


def young_table(measured: Measured) -> str:
    """Recall and realised findings with every history cut; one draw."""
    rows = []
    for days in YOUNG_DAYS:
        score = np.full(measured.clean.score.shape, -np.inf)
        raw = young_scores(measured.bench, SCORE, days)
        score[:, FIRST_HOUR:] = score_as(measured.bench, measured.scaled[0], raw)
        drawn = [one.events for one in measured.events if one.events.draw == 0]
        raws = [young_events(measured.bench, events, days) for events in drawn]
        batches = [event_scores(measured.bench, one, measured.scaled) for one in raws]
        found = [outcome(score, line, batches, measured.entity_days) for line in measured.clean.thresholds]
        ours = " / ".join(pair(row.recall.mean, row.findings) for row in found)
        rows.append([f"{days}", ours, " / ".join(pair(*cell) for cell in study.YOUNG[days])])
    return table(["days of history (budget 100 / 30 / 10 / 3 / 1)", "ours", "study"], rows)


def peers_table(traffic: Traffic, seed: int) -> str:
    """Every peer as shipped, and with its line set to the budgets on days 30-60."""
    events = [draw_events(traffic, one, SCORE, draw, seed) for one in MAIN for draw in DRAWS]
    return _peer_rows(PEERS, traffic, events)


def forest_table(traffic: Traffic, seed: int) -> str:
    """C9 on some entities and one draw, beside the upstream rule on the same; what it costs."""
    few = some(traffic)
    events = [draw_events(few, one, SCORE, DRAWS[0], seed) for one in MAIN]
    took = cost(few)
    return (
        _peer_rows((FOREST, PEERS[0]), few, events)
        + f"\n\n{len(few.names)} entities; {took.forest_us:.0f} microseconds of a core per sample and entity"
    )


def _peer_rows(peers: Sequence[Peer], traffic: Traffic, events: list[Events]) -> str:
    rows = [_peer_row(peer, traffic, events) for peer in peers]
    budgets = [f"{int(budget)}" for budget in BUDGETS]
    return table(["peer", "as shipped", "study", *budgets], rows)


def _peer_row(peer: Peer, traffic: Traffic, events: list[Events]) -> list[str]:
    clean = peer.score(traffic.sent)
    batches = [peer_events(peer, traffic, one) for one in events]
    scored = np.where(np.arange(clean.shape[1]) >= FIRST_HOUR, clean, -np.inf)
    entity_days = float(len(traffic.names) * len(SCORE))
    lines = [peer.shipped, *fixed_thresholds(clean[:, LEARN.start * 24 : LEARN.stop * 24])]
    rows = [outcome(scored, np.full(clean.shape[1], line), batches, entity_days) for line in lines]
    cells = [pair(row.recall.mean, row.findings) for row in rows]
    theirs = pair(*study.PEERS_SHIPPED[peer.name]) if peer.name in study.PEERS_SHIPPED else "-"
    return [peer.name, cells[0], theirs, *cells[1:]]
