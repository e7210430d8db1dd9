"""The outbound detector on the recording that ships: a gate that needs no other data, and nothing learned on it.

In: the recording. Out: paired recall and findings of the detector as a new installation has it, with the models, the
scale and the thresholds that ship. It is small, so it does not say how good the detector is; it says when a change has
made it worse, on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ebbtide import recording
from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.lab.bench import OutboundBench, clean_scores, event_scores, scale_as_shipped
from ebbtide.lab.evaluate import BUDGETS, EventScores, fixed_thresholds, judge, realised
from ebbtide.lab.inject import draw_events
from ebbtide.lab.inject_scenario import FURTHER, MAIN
from ebbtide.lab.report import table, two
from ebbtide.lab.traffic import Traffic
from ebbtide.series import SECOND_NS, Float64

STEP_S = 300
DAYS = 32
#: Judged are the days after the first two weeks.
SCORED = range(14, DAYS)
#: Metric -> the columns of what is sent and received.
METRICS: dict[str, tuple[str, str]] = {
    "tcp.bytes": ("eth1_fo", "eth1_fi"),
    "tcp.packets": ("out_segs", "in_segs"),
    "udp.packets": ("udp_out_dg", "udp_in_dg"),
}
#: The recording has no unit; each side of each series is scaled so that its median hour of the first two weeks is this,
#: a hundred times the floor of an hour.
MEDIAN_HOUR = 1e9
DRAWS = 4
MASKED = FURTHER[-1]


@dataclass(frozen=True, slots=True)
class ExcerptFigures:
    """One budget's outcome: mean paired recall of the nine scenarios, each one's own, and findings on the clean stream.

    `exact` is the mean recall at the line that realises at most the budget on the clean stream itself: how well attacks
    and surprises are told apart, wherever the line lies. `returned` is the mean recall, at the shipped line, when as
    much comes back as is sent, which only the volume channel sees; `masked` the recall of 200 MB after a burst of 1 GB
    ten days before. A finding is one series' (machine and metric).
    """

    budget: float
    recall: float
    by_scenario: dict[str, float]
    findings: int
    exact: float
    returned: float
    masked: float


def excerpt_traffic() -> Traffic:
    """Twelve series, three metrics of four machines, on a 5-minute grid of 32 days."""
    names: list[str] = []
    sides: tuple[list[Float64], list[Float64]] = ([], [])
    for machine in recording.machines():
        rows = recording.read(machine)
        for metric, columns in METRICS.items():
            names.append(f"{machine} {metric}")
            for side, column in zip(sides, columns, strict=True):
                side.append(_scaled(rows[column].to_numpy()))
    start_s = recording.START_NS // SECOND_NS
    return Traffic(tuple(names), np.stack(sides[0]), np.stack(sides[1]), start_s, STEP_S)


def _scaled(minutes: Float64) -> Float64:
    """Sums of 5 minutes with a median hour of MEDIAN_HOUR in the first two weeks."""
    known = minutes[: DAYS * 24 * 60]
    hours = known[: SCORED.start * 24 * 60].reshape(-1, 60).sum(axis=1)
    sums: Float64 = known.reshape(-1, STEP_S // 60).sum(axis=1) * (MEDIAN_HOUR / np.median(hours))
    return sums


def measure_excerpt(options: OutboundOptions | None = None, seed: int = 1) -> tuple[ExcerptFigures, ...]:
    """Figures at each of `evaluate.BUDGETS`, a second or two; the default options unless others are given."""
    traffic = excerpt_traffic()
    chosen = options if options is not None else OutboundOptions()
    bench = OutboundBench.run(traffic, chosen, SCORED, models=shipped_models())
    scaled = (scale_as_shipped(bench, SCORED),)
    score = scaled[0].score
    clean = clean_scores(bench, scaled)
    drawn = [draw_events(traffic, scenario, SCORED, draw, seed) for scenario in MAIN for draw in range(DRAWS)]
    veiled = [draw_events(traffic, MASKED, SCORED, draw, seed) for draw in range(DRAWS)]
    plain, hidden = ([event_scores(bench, bench.raw_of(one), scaled) for one in many] for many in (drawn, veiled))
    answered = [event_scores(bench, bench.raw_of(one, 1.0), scaled) for one in drawn]
    figures = []
    for budget, shipped, exact in zip(BUDGETS, scaled[0].thresholds, fixed_thresholds(score), strict=True):
        found = _recall(clean.score, shipped, plain)
        figures.append(
            ExcerptFigures(
                budget,
                _mean(found),
                found,
                round(realised(score > shipped, 1000.0)),
                _mean(_recall(clean.score, exact, plain)),
                _mean(_recall(clean.score, shipped, answered)),
                _mean(_recall(clean.score, shipped, hidden)),
            )
        )
    return tuple(figures)


def _recall(score: Float64, line: float, batches: list[EventScores]) -> dict[str, float]:
    """Paired recall by scenario; all scenarios have as many events."""
    lines = np.full(score.shape[1], line)
    found: dict[str, list[float]] = {}
    for batch in batches:
        found.setdefault(batch.name, []).append(float(judge(score > line, lines, batch).paired.mean()))
    return {name: float(np.mean(shares)) for name, shares in found.items()}


def _mean(by_scenario: dict[str, float]) -> float:
    return float(np.mean(list(by_scenario.values())))


def excerpt_table(figures: tuple[ExcerptFigures, ...]) -> str:
    """The figures as Markdown: by budget, then by scenario."""
    sums = [
        [f"{one.budget:g}", f"{one.recall:.2f}", f"{one.findings}", *two((one.exact, one.returned, one.masked))]
        for one in figures
    ]
    names = list(figures[0].by_scenario)
    rows = [[name, " / ".join(two(one.by_scenario[name] for one in reversed(figures)))] for name in names]
    return "\n\n".join(
        [
            table(["budget", "paired recall", "findings", "exactly at budget", "all comes back", "masked"], sums),
            table(["scenario (budget 1 / 3 / 10 / 30 / 100)", "recall"], rows),
        ]
    )
