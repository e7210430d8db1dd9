"""The demonstration's page: a card with charts for each finding, and the labelled incidents found and missed."""

from __future__ import annotations

import numpy as np

from ebbtide import recording
from ebbtide.demo import Comparison, labels_of
from ebbtide.finding.explain import explain
from ebbtide.finding.finding import Finding
from ebbtide.finding.lifecycle import Episode
from ebbtide.finding.text import count_text, duration_text, percent_text, rfc3339
from ebbtide.report.report import Card, Chart, Destination, Label, Report, Row, Summary
from ebbtide.series import HOUR_NS, MINUTE_NS, Entity
from ebbtide.store.reading import Grouping
from ebbtide.store.store import Store

#: Hours of context a chart shows before the first and after the last hit.
CONTEXT_NS = 9 * HOUR_NS
#: More cards than this a detection make a page nobody reads; the rest is counted.
MOST_CARDS = 30
_MOST_CHARTS = 3


def build(store: Store, comparisons: list[Comparison], command: str) -> Report:
    """The page of all comparisons; `command` is what made it."""
    cards, notes = [], []
    for one in comparisons:
        episodes = sorted(one.backtest.episodes.values(), key=lambda episode: episode.finding.opened_ns)
        cards += [_card(store, one, episode, command) for episode in episodes[:MOST_CARDS]]
        if len(episodes) > MOST_CARDS:
            left_out = len(episodes) - MOST_CARDS
            notes.append(f"{left_out} later findings of {one.backtest.detection.id} have no card here.")
    notes.append(
        f"Values are {recording.UNIT}: the publisher scaled every metric to 0..1, so they are not bytes or packets. "
        "The labels are operations incidents, not attacks; of the 72, 23 were seen in an outbound network metric."
    )
    return Report(
        title="Ebbtide on 33 recorded days of four servers",
        subtitle="Server Machine Dataset (MIT): the second half is labelled, the first is what was learned from",
        notes=tuple(notes),
        summaries=tuple(_summary(one) for one in comparisons),
        rows=_rows(comparisons, {one.workload: one for one in store.identity.entities}),
        cards=tuple(sorted(cards, key=lambda card: (card.opened_ns, card.detection))),
    )


def _summary(one: Comparison) -> Summary:
    found, labelled = one.count(is_outbound=True)
    run = one.backtest
    return Summary(run.detection.short_name, len(run.episodes), found, labelled - found, len(one.extra))


def _rows(comparisons: list[Comparison], entities: dict[str, Entity]) -> tuple[Row, ...]:
    rows = []
    for at, incident in enumerate(recording.incidents()):
        found_by = [one.found_by[at] for one in comparisons]
        rows.append(
            Row(
                str(entities[incident.machine]),
                incident.start_ns,
                incident.end_ns,
                " ".join(incident.dimensions),
                tuple(None if by is None else by.finding.uid for by in found_by),
                "outbound" if incident.is_outbound else "",
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.kind == "", row.start_ns)))


def _card(store: Store, comparison: Comparison, episode: Episode, command: str) -> Card:
    finding, detection = episode.finding, comparison.backtest.detection
    evidence = finding.evidence
    starts = [hit.start_ns for one in evidence.metrics for hit in one.hits]
    first_ns, last_ns = min(starts), max(starts)
    is_extra = any(one.finding.uid == finding.uid for one in comparison.extra)
    baseline = f"{rfc3339(evidence.baseline_from_ns)} to {rfc3339(evidence.baseline_to_ns)}"
    destinations = tuple(
        Destination(
            one.name,
            f"{count_text(one.bytes)} {recording.UNIT}",
            one.share,
            "never before" if one.first_seen_ns is None else f"since {rfc3339(one.first_seen_ns)}",
        )
        for one in evidence.destinations
    )
    facts = (
        ("Message", finding.message),
        ("Hits", f"{evidence.count}, in {duration_text(last_ns + evidence.bucket_ns - first_ns)}"),
        ("Baseline", baseline),
        ("Largest destination", percent_text(evidence.destinations[0].share) if evidence.destinations else "not known"),
    )
    return Card(
        finding.uid,
        finding.headline,
        finding.detection_id,
        str(finding.entity),
        finding.risk.score,
        finding.opened_ns,
        facts,
        tuple(explain(finding, detection)),
        destinations,
        f"{command.split(' demo')[0]} detect --detection {finding.detection_id} --at {rfc3339(finding.at_ns)}",
        "extra" if is_extra else "found",
        _charts(store, finding),
    )


def _charts(store: Store, finding: Finding) -> tuple[Chart, ...]:
    """One chart for each metric with hits, the metrics with the most hits first."""
    metrics = sorted(finding.evidence.metrics, key=lambda one: -len(one.hits))[:_MOST_CHARTS]
    numbers = [n for n, one in enumerate(store.identity.entities) if one.workload == finding.entity.workload]
    grouping = Grouping(np.array(numbers, np.int32), np.zeros(len(numbers), np.int64), (finding.entity,))
    span = finding.opened_ns - CONTEXT_NS, finding.end_ns + CONTEXT_NS
    minutes = store.minutes.of(grouping, tuple(one.metric for one in metrics), *span)
    marked_ns = max(finding.evidence.bucket_ns, MINUTE_NS)
    labels = tuple(
        Label(one.start_ns, one.end_ns, " ".join(one.dimensions)) for one in labels_of(finding.entity.workload, *span)
    )
    times = minutes.start_ns + np.arange(minutes.sent.shape[2]) * MINUTE_NS
    charts = []
    for at, one in enumerate(metrics):
        received = minutes.received[0, at]
        charts.append(
            Chart(
                title=f"{one.metric} of {finding.entity.workload}",
                metric=one.metric,
                unit=recording.UNIT,
                times_ns=times,
                sent=minutes.sent[0, at],
                received=received if np.nansum(received) else None,
                mean=one.mean,
                line=one.line,
                lower=max(one.mean - one.stdev, 0.0),
                upper=one.mean + one.stdev,
                marks=tuple((hit.start_ns, hit.start_ns + marked_ns) for hit in one.hits),
                labels=labels,
            )
        )
    return tuple(charts)
