"""Detector `sigma`: a bucket is a hit when it lies more than k standard deviations above the mean of the baseline.

With its defaults this is the rule of the Splunk analytic "Kubernetes Anomalous Outbound Network Activity from Process"
as it is shipped there, bugs included; the options take the bugs away one by one.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ebbtide.detect.detector import Anomalies, Baseline, Options
from ebbtide.series import Float64, Window

#: A value this close to the line, relative to it, is a tie and no hit: doubles cannot tell which side it is on.
TIE = 1e-9


class SigmaOptions(Options):
    """What the rule can be told. The defaults are upstream's."""

    k: float = Field(3.0, gt=0)
    """How many standard deviations above the mean the line lies."""

    statistic: Literal["mean", "sum"] = "mean"
    """What a bucket is worth: the mean over its points (upstream: more destinations dilute it) or their sum."""

    udp_stdev: Literal["mean", "stdev"] = "mean"
    """What stands for the standard deviation of udp.*: upstream takes the mean, which makes the line 4 x mean."""

    one_point: Literal["zero", "silent"] = "zero"
    """A baseline of a single point has no standard deviation: take 0 (any higher value is a hit) or judge nothing."""

    zero_stdev: Literal["hit", "silent"] = "hit"
    """A baseline without spread: upstream counts any higher value as a hit."""

    count: Literal["metric_buckets", "buckets"] = "metric_buckets"
    """Hits are counted per metric and bucket (upstream), or a bucket counts once however many metrics are high."""

    more_than: int = Field(5, ge=0)
    """An entity fires when more than this many hits count."""

    min_points: int = Field(1, ge=1)
    """Fewer points than this in the baseline are too little history: not judged, and said so."""

    floor_share: float = Field(0.0, ge=0)
    """The standard deviation is taken to be at least this share of the mean. 0: no floor."""

    floor: dict[str, float] = Field(default_factory=dict)
    """Values up to this, in the metric's unit per second, are never hits. Absent metrics have no floor."""


class Sigma:
    """The rule, vectorised over entities, metrics and buckets."""

    name: ClassVar[str] = "sigma"
    options: ClassVar[type[Options]] = SigmaOptions

    def score(self, window: Window, baseline: Baseline, options: SigmaOptions) -> Anomalies:
        """Hits of every entity, and whether they are enough.

        Example: a baseline with mean 100 and stdev 10 has its line at 130; six buckets of 131 are six hits and fire.
        """
        moments = baseline.moments
        stdev = _stdev(window.metrics, baseline, options)
        line = moments.mean + options.k * stdev
        has_points = window.points > 0
        value = window.total if options.statistic == "sum" else window.total / np.maximum(window.points, 1)

        sent = has_points.any(axis=2)
        silent = moments.count == 0
        short = ~silent & (moments.count < options.min_points)
        spreadless = ~silent & ~short & (np.isnan(stdev) | ((stdev == 0) & (options.zero_stdev == "silent")))
        scored = sent & ~silent & ~short & ~spreadless

        with np.errstate(invalid="ignore"):
            is_hit = has_points & scored[:, :, None] & (value > (line + TIE * np.abs(line))[:, :, None])
        is_hit &= value > _floor(window, options)[None, :, None]
        entity, bucket, metric = np.nonzero(is_hit.transpose(0, 2, 1))
        counted = is_hit.sum(axis=(1, 2)) if options.count == "metric_buckets" else is_hit.any(axis=1).sum(axis=1)
        return Anomalies(
            entity.astype(np.int32),
            metric.astype(np.int32),
            window.start_ns + bucket * window.bucket_ns,
            value[entity, metric, bucket],
            moments.mean[entity, metric],
            stdev[entity, metric],
            line[entity, metric],
            counted.astype(np.int64),
            counted > options.more_than,
            scored,
            np.maximum(line, _floor(window, options)[None, :]),
            {"no_baseline": sent & silent, "too_little_history": sent & short, "no_spread": sent & spreadless},
        )


def _stdev(metrics: tuple[str, ...], baseline: Baseline, options: SigmaOptions) -> Float64:
    moments = baseline.moments
    stdev = moments.stdev(single=0.0 if options.one_point == "zero" else np.nan)
    if options.udp_stdev == "mean":
        udp = np.array([metric.startswith("udp.") for metric in metrics], bool)
        stdev = np.where(udp[None, :] & (moments.count > 0), moments.mean, stdev)
    return np.maximum(stdev, options.floor_share * moments.mean)


def _floor(window: Window, options: SigmaOptions) -> Float64:
    seconds = window.bucket_ns / 1e9
    return np.array([options.floor.get(metric, -np.inf) * seconds for metric in window.metrics], np.float64)
