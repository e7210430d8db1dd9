"""Judge a finding of the outbound detector again, from its evidence alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ebbtide.baseline.cusum import Usual
from ebbtide.baseline.records import latest
from ebbtide.baseline.trailing_statistics import HOURS, Float32
from ebbtide.detect.outbound import Channels, day_records
from ebbtide.detect.outbound_clues import SentMix
from ebbtide.detect.outbound_instant import measure, quiet, show
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_state import DayReference, OutboundState
from ebbtide.finding.outbound_evidence import OutboundEvidence, PairEvidence
from ebbtide.series import Float64

#: No hour of one process is more: 220 Tbit/s.
_MOST = 1e17


def repeat_scores(evidence: OutboundEvidence, options: OutboundOptions) -> list[float]:
    """S of each metric in the evidence, in its order; raises ValueError where it is malformed."""
    return [_repeat(one, evidence, options) for one in evidence.pairs]


def telling_amount(evidence: OutboundEvidence, options: OutboundOptions) -> float | None:
    """How much of the deciding metric the last hour would have to be, in its unit, for the score to pass its line.

    All else alike: what is more went where the rest of the hour went, and the longer windows have it too. To three
    digits, rounded up; what was sent where it passes already. None where no amount does: a process on its first day.
    """
    main = evidence.main
    sent = main.sent[0]
    if not np.isfinite(sent) or _repeat(main, evidence, options) > evidence.threshold:
        return sent if np.isfinite(sent) else None
    low, high = max(sent, 1.0), _MOST
    if _with_hour(evidence, high, options) <= evidence.threshold:
        return None
    while high > low * 1.001:
        middle = float(np.sqrt(low * high))
        if _with_hour(evidence, middle, options) > evidence.threshold:
            high = middle
        else:
            low = middle
    step = 10.0 ** (np.floor(np.log10(high)) - 2)
    return float(np.ceil(high / step) * step)


def _with_hour(evidence: OutboundEvidence, amount: float, options: OutboundOptions) -> float:
    """S of the deciding metric had its last hour been this amount."""
    main = evidence.main
    more, times = amount - main.sent[0], amount / max(main.sent[0], 1.0)
    mix = main.mix and replace(main.mix, total=main.mix.total * times, unfamiliar=main.mix.unfamiliar * times)
    return _repeat(replace(main, sent=tuple(one + more for one in main.sent), mix=mix), evidence, options)


def _repeat(one: PairEvidence, evidence: OutboundEvidence, options: OutboundOptions) -> float:
    state = OutboundState.empty(1, options)
    kept = np.array(one.maxima, np.float32)[None]
    state.maxima[..., state.maxima.shape[-1] - kept.shape[-1] :] = latest(kept, kept.shape[-1])
    records = day_records(state, evidence.scale.models, options)
    usual = Usual(_one(one.usual_ratio), _one(one.ratio_spread))
    reference = DayReference(_hours(one.usual_volume), _hours(one.usual_inbound), usual)
    instant = show(
        _row(one.sent), _row(one.received), np.array([one.floor]), evidence.hour, _one(one.cusum), reference, records,
        options,
    )  # fmt: skip
    others = Channels(np.array([[one.others_ratio]]), np.array([[one.others_volume]]))
    has_received = np.array([one.has_received])
    scored = measure(instant.raw.channels, others, evidence.hour, has_received, evidence.scale.scale, options)
    if one.mix is not None:
        sent, mix = _row(one.sent)[:, :1], one.mix
        went = SentMix(*(np.array([[value]]) for value in (mix.total, mix.unfamiliar, mix.overlap)))
        line = np.array([[mix.line]])
        scored = quiet(scored, sent, np.array([one.floor]), went, line, evidence.scale, options).scored
    return float(scored.score[0, 0])


def _one(value: float) -> Float32:
    return np.array([value], np.float32)


def _hours(value: float) -> Float32:
    return np.full((1, HOURS), value, np.float32)


def _row(values: tuple[float, ...]) -> Float64:
    return np.array([values], np.float64)
