"""What a change of a detection does to its findings: the same history judged twice, finding beside finding.

In: two backtests over one range. Out: what appears, what disappears, what stays. The command line and the pages ask
here, so both say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from ebbtide.backtest import Backtest
from ebbtide.detect.detection import Detection, Detectors
from ebbtide.errors import UsageError
from ebbtide.finding.finding import Finding
from ebbtide.series import DAY_NS


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a change does: findings that appear, that disappear and that stay, and findings by day before and after."""

    appeared: tuple[Finding, ...]
    disappeared: tuple[Finding, ...]
    stayed: tuple[Finding, ...]
    days: tuple[tuple[int, int, int], ...]


def with_options(detection: Detection, options: Mapping[str, object], detectors: Detectors) -> Detection:
    """The detection with other options, complete and checked. Raises UsageError."""
    detector = detectors[detection.detector]
    merged = dict(detection.options) | dict(options)
    try:
        checked = detector.options.model_validate(merged)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"the option {name!r}: {first['msg']}", hint=f"it is {detection.options.get(name)!r} now"
        ) from None
    return detection.model_copy(update={"options": checked.model_dump(mode="json")})


def compare(before: Backtest, after: Backtest, from_ns: int, to_ns: int) -> Comparison:
    """Two backtests over [from_ns, to_ns] beside each other."""
    then, now = ([one.finding for one in run.episodes.values()] for run in (before, after))
    return Comparison(
        appeared=_without(now, then),
        disappeared=_without(then, now),
        stayed=tuple(one for one in now if any(_is_same(one, other) for other in then)),
        days=_by_day(then, now, from_ns, to_ns),
    )


def comparison_object(before: Backtest, after: Backtest, from_ns: int, to_ns: int) -> dict[str, object]:
    """Detection, options, figures before and after, headlines of what appears and disappears: what the page's JSON
    says of a finished backtest, too.
    """
    found = compare(before, after, from_ns, to_ns)
    return {
        "detection": after.detection.id,
        "options": dict(after.detection.options),
        "before": before.summary(),
        "after": after.summary(),
        "appeared": headlines(found.appeared),
        "disappeared": headlines(found.disappeared),
    }


def headlines(found: tuple[Finding, ...]) -> list[str]:
    """What each finding says."""
    return [one.headline for one in found]


def _without(found: list[Finding], others: list[Finding]) -> tuple[Finding, ...]:
    return tuple(one for one in found if not any(_is_same(one, other) for other in others))


def _is_same(one: Finding, other: Finding) -> bool:
    """Whether two runs speak of the same matter: same entity, and their times touch. Uids differ with the first hit."""
    return one.entity == other.entity and one.opened_ns < other.end_ns and other.opened_ns < one.end_ns


def _by_day(before: list[Finding], after: list[Finding], from_ns: int, to_ns: int) -> tuple[tuple[int, int, int], ...]:
    first, last = from_ns // DAY_NS, to_ns // DAY_NS
    counts = {day: [0, 0] for day in range(first, last + 1)}
    for at, found in enumerate((before, after)):
        for one in found:
            day = min(max(one.opened_ns // DAY_NS, first), last)
            counts[day][at] += 1
    return tuple((day, then, now) for day, (then, now) in counts.items())
