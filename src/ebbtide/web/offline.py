"""The health of a file: what can be told of a store that no service runs over. Time stands still where its data end."""

from __future__ import annotations

from ebbtide.finding.text import duration_text
from ebbtide.health import Health, Problem, Severity, SinkHealth, Source, SourceState
from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.store import Store
from ebbtide.store.view import View

#: A source whose data end this much before those of the others has fallen silent.
SILENT_NS = 2 * HOUR_NS
#: With less history a source is new.
NEW_NS = DAY_NS


def health_of(store: Store) -> Health:
    """Everything a file tells of its sources, sinks and size; nothing was ticked, so no detection is named."""
    with store.view() as view:
        span = view.reading.span()
        end_ns = span[1] if span else 0
        sources = _sources(view, end_ns)
        sinks = tuple(_sink(view, name) for name in view.outbox.sinks())
        capacity = {"entities": float(len(view.identity.entities)), "endpoints": float(len(view.identity.endpoints))}
        if store.path is not None and store.path.exists():
            capacity["file_bytes"] = float(store.path.stat().st_size)
        return Health(
            end_ns, None, sources, (), sinks, view.profile.received(), capacity, _problems(sources, sinks, span is None)
        )


def _sources(view: View, end_ns: int) -> tuple[Source, ...]:
    until_ns = end_ns // HOUR_NS * HOUR_NS
    found = []
    for one in view.profile.heard(until_ns - DAY_NS, until_ns):
        newest_ns = min(one.last_ns, end_ns)
        state = SourceState.LIVE
        if end_ns - newest_ns > SILENT_NS:
            state = SourceState.SILENT
        elif end_ns - one.first_ns < NEW_NS:
            state = SourceState.NEW
        of_minutes = min(one.of_minutes, max(0, (until_ns - one.first_ns) // (60 * 10**9)))
        gap = max(0, of_minutes - one.minutes)
        found.append(Source(one.cluster, state, newest_ns, newest_ns, one.interval_s, gap, 0.0, one.entities))
    return tuple(found)


def _sink(view: View, name: str) -> SinkHealth:
    state, counts = view.outbox.state(name), view.outbox.counts(name)
    return SinkHealth(name, "", counts["delivered"], state.waiting, state.dead, state.error,
                      view.outbox.heartbeat(name).accepted_ns)  # fmt: skip


def _problems(sources: tuple[Source, ...], sinks: tuple[SinkHealth, ...], is_empty: bool) -> tuple[Problem, ...]:
    found = [Problem(Severity.NOTE, "This is a page over a file: no service judges new data.", "run `ebbtide detect`")]
    if is_empty:
        found.append(Problem(Severity.WARNING, "There are no samples.", "begin with: ebbtide import PATHS"))
    found += [
        Problem(
            Severity.WARNING,
            f"The source {one.cluster or '(no name)'} fell silent.",
            "what its processes sent since is not known: look at its collector",
        )
        for one in sources
        if one.state is SourceState.SILENT
    ]
    found += [
        Problem(
            Severity.NOTE,
            f"The source {one.cluster or '(no name)'} was not heard for {duration_text(one.gap_minutes * 60 * 10**9)} "
            "of the last day.",
            "nothing could be judged in that time",
        )
        for one in sources
        if one.gap_minutes
    ]
    found += [
        Problem(Severity.WARNING, f"{one.dead} deliveries to {one.name} were given up.", "see `ebbtide sinks`")
        for one in sinks
        if one.dead
    ]
    return tuple(found)
