"""Moves what is due from the outbox to the sinks. No thread, no clock: the caller brings the time and the dice.

A service gives each sink a thread that calls `pump` with that sink alone, so that one that hangs holds up nobody. In
one call a sink is left at its first failure: what comes after waits behind it, which is what keeps the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ebbtide.deliver.backoff import Retry, Rng
from ebbtide.deliver.message import delivery_of
from ebbtide.deliver.sink import Permanent, Retryable, Sink
from ebbtide.errors import DataError
from ebbtide.finding.text import one_line
from ebbtide.store.outbox import Bounds, Outbox, Row

#: Deliveries of one sink in one call: its `now_ns` must not be much older than the moment of sending.
MOST_AT_ONCE = 16


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


def pump(outbox: Outbox, sinks: Mapping[str, Lane], now_ns: int, rng: Rng, most: int = MOST_AT_ONCE) -> Report:
    """Deliver what is due at `now_ns`, at most `most` rows of each sink, in order.

    Raises ServiceError where the store cannot be written; what was sent by then may be sent again.
    """
    return {name: _pump_one(outbox, name, lane, now_ns, rng, most) for name, lane in sinks.items()}


def _pump_one(outbox: Outbox, name: str, lane: Lane, now_ns: int, rng: Rng, most: int) -> LaneReport:
    report = LaneReport()
    if outbox.state(name).next_ns <= now_ns:
        for row in outbox.head(name, most):
            if not _try(outbox, row, lane, now_ns, rng, report):
                break
    state = outbox.state(name)
    report.waiting, report.dead = state.waiting, state.dead
    report.next_ns = state.next_ns if state.waiting else None
    report.error = report.error or state.error
    return report


def _try(outbox: Outbox, row: Row, lane: Lane, now_ns: int, rng: Rng, report: LaneReport) -> bool:
    """Try one row; whether the next one may follow."""
    try:
        lane.sink.send(delivery_of(row), now_ns)
    except (Permanent, DataError) as error:
        report.error = _text(error.message, error.hint)
        outbox.give_up([row], now_ns, "refused", report.error, lane.bounds)
        report.given_up += 1
        return True
    except Retryable as error:
        report.error = _text(error.message, error.hint)
        _postpone(outbox, row, lane, now_ns, rng, report, error.retry_after_s)
        return False
    except Exception as error:  # noqa: BLE001  a plug-in's fault is told under its name and must not stop the rest
        report.error = f"the sink {row.sink} is at fault: {type(error).__name__}: {one_line(str(error), 200)}"
        _postpone(outbox, row, lane, now_ns, rng, report, None)
        return False
    outbox.delivered(row)
    report.delivered += 1
    report.error = ""
    return True


def _postpone(
    outbox: Outbox, row: Row, lane: Lane, now_ns: int, rng: Rng, report: LaneReport, retry_after_s: float | None
) -> None:
    """Leave the sink alone for a while; give up what has been tried too often, or is too old."""
    wait_ns = lane.retry.wait_ns(outbox.state(row.sink).failures + 1, rng, retry_after_s)
    outbox.failed(row, report.error, now_ns + wait_ns)
    report.failed += 1
    if row.attempts + 1 >= lane.retry.attempts:
        tried = [one for one in outbox.head(row.sink, 1) if one.number == row.number]
        outbox.give_up(tried, now_ns, "attempts", report.error, lane.bounds)
        report.given_up += len(tried)
    old = outbox.older(row.sink, now_ns - lane.retry.age)
    outbox.give_up(old, now_ns, "age", report.error, lane.bounds)
    report.given_up += len(old)


def _text(message: str, hint: str) -> str:
    return f"{message} ({hint})" if hint else message
