"""Moves what is due from the outbox to the sinks. No thread, no clock: the caller brings the time and the dice.

A service gives each sink a thread that calls `pump` with that sink alone, so that one that hangs holds up nobody. In
one call a sink is left at its first failure: what comes after waits behind it, which is what keeps the order. A sink
that takes several at once (`Together`) keeps the order of each finding's changes, and what arrived is noted in one
transaction: while much is received, each transaction waits for its turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ebbtide.deliver.backoff import Retry, Rng
from ebbtide.deliver.message import delivery_of
from ebbtide.deliver.sink import Delivery, Held, Outcome, Permanent, Retryable, Sink, Together, is_refusal
from ebbtide.errors import DataError
from ebbtide.finding.text import one_line
from ebbtide.store.outbox import Bounds, Outbox, Row

#: Deliveries of one sink in one call: its `now_ns` must not be much older than the moment of sending.
MOST_AT_ONCE = 16
#: The same of a sink that takes several at once; as many may come once more after a crash.
MOST_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class Lane:
    """An open sink with its patience and its bounds."""

    sink: Sink
    retry: Retry = field(default_factory=Retry)
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(slots=True)
class LaneReport:
    """What one call did for one sink.

    `delivered`, `failed` (attempts) and `given_up` count what happened; `waiting` and `dead` are what it holds now.
    `next_ns` is when to call again: 0 at once, None when nothing waits. `error` is the last one, "" after a success.
    """

    delivered: int = 0
    failed: int = 0
    given_up: int = 0
    waiting: int = 0
    dead: int = 0
    next_ns: int | None = None
    error: str = ""


#: What one call did, by the sink's name.
Report = dict[str, LaneReport]


def pump(outbox: Outbox, sinks: Mapping[str, Lane], now_ns: int, rng: Rng, most: int | None = None) -> Report:
    """Deliver what is due at `now_ns`, at most `most` rows of each sink, in order.

    `most` None is `MOST_TOGETHER` for sinks that take several at once, `MOST_AT_ONCE` for others.

    Raises ServiceError where the store cannot be written; what was sent by then may be sent again.
    """
    return {name: _pump_one(outbox, name, lane, now_ns, rng, most) for name, lane in sinks.items()}


def _pump_one(outbox: Outbox, name: str, lane: Lane, now_ns: int, rng: Rng, most: int | None) -> LaneReport:
    report = LaneReport()
    if outbox.state(name).next_ns > now_ns:
        pass
    elif isinstance(lane.sink, Together):
        _try_together(outbox, outbox.head(name, most or MOST_TOGETHER), lane, lane.sink, now_ns, rng, report)
    else:
        for row in outbox.head(name, most or MOST_AT_ONCE):
            if not _try(outbox, row, lane, now_ns, rng, report):
                break
    state = outbox.state(name)
    report.waiting, report.dead = state.waiting, state.dead
    report.next_ns = state.next_ns if state.waiting else None
    report.error = report.error or state.error
    return report


def _try(outbox: Outbox, row: Row, lane: Lane, now_ns: int, rng: Rng, report: LaneReport) -> bool:
    """Try one row; whether the next one may follow."""
    outcome: Outcome = None
    try:
        lane.sink.send(delivery_of(row), now_ns)
    except Exception as error:  # noqa: BLE001  a plug-in's fault is told under its name and must not stop the rest
        outcome = error
    if outcome is None:
        _arrived(outbox, [row], now_ns, report, is_well=True)
        return True
    return _missed(outbox, row, outcome, lane, now_ns, rng, report)


def _try_together(
    outbox: Outbox, rows: Sequence[Row], lane: Lane, sink: Together, now_ns: int, rng: Rng, report: LaneReport
) -> None:
    """Try rows in one call: first what arrived is noted, then what was refused, then the first that failed."""
    readable: list[tuple[Row, Delivery]] = []
    outcomes: list[tuple[Row, Outcome]] = []
    for row in rows:
        try:
            readable.append((row, delivery_of(row)))
        except DataError as error:
            outcomes.append((row, error))
    if readable:
        try:
            found = sink.send_together([delivery for _, delivery in readable], now_ns)
        except Exception as error:  # noqa: BLE001  as in `_try`
            found = [error, *(Held("") for _ in readable[1:])]
        outcomes += zip((row for row, _ in readable), found, strict=True)
    waiting = [(row, why) for row, why in outcomes if why is not None and not is_refusal(why)]
    _arrived(outbox, [row for row, why in outcomes if why is None], now_ns, report, is_well=not waiting)
    for row, why in outcomes:
        if why is not None and is_refusal(why):
            _missed(outbox, row, why, lane, now_ns, rng, report)
    if tried := [(row, why) for row, why in waiting if not isinstance(why, Held)]:
        _missed(outbox, *tried[0], lane, now_ns, rng, report)


def _arrived(outbox: Outbox, rows: Sequence[Row], now_ns: int, report: LaneReport, *, is_well: bool) -> None:
    if rows:
        outbox.delivered(rows, now_ns, is_well=is_well)
        report.delivered += len(rows)
        report.error = ""


def _missed(outbox: Outbox, row: Row, why: Exception, lane: Lane, now_ns: int, rng: Rng, report: LaneReport) -> bool:
    """Note why a row did not arrive; whether the next one may follow."""
    if isinstance(why, (Retryable, Permanent, DataError)):
        report.error = _text(why.message, why.hint)
    else:
        report.error = f"the sink {row.sink} is at fault: {type(why).__name__}: {one_line(str(why), 200)}"
    if is_refusal(why):
        outbox.give_up([row], now_ns, "refused", report.error, lane.bounds)
        report.given_up += 1
        return True
    _postpone(outbox, row, lane, now_ns, rng, report, why.retry_after_s if isinstance(why, Retryable) else None)
    return False


def _postpone(
    outbox: Outbox, row: Row, lane: Lane, now_ns: int, rng: Rng, report: LaneReport, retry_after_s: float | None
) -> None:
    """Leave the sink alone for a while; give up what has been tried too often, or is too old."""
    wait_ns = lane.retry.wait_ns(outbox.state(row.sink).failures + 1, rng, retry_after_s)
    outbox.failed(row, report.error, now_ns + wait_ns)
    report.failed += 1
    if row.attempts + 1 >= lane.retry.attempts:
        tried = outbox.row(row.number)
        outbox.give_up(tried, now_ns, "attempts", report.error, lane.bounds)
        report.given_up += len(tried)
    old = outbox.older(row.sink, now_ns - lane.retry.age)
    outbox.give_up(old, now_ns, "age", report.error, lane.bounds)
    report.given_up += len(old)


def _text(message: str, hint: str) -> str:
    return f"{message} ({hint})" if hint else message
