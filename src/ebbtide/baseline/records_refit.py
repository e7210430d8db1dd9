"""A fleet's own record models, where they foretell its days better than those it has.

In: daily maxima of a fleet. Out: for each statistic and age the model learned from them, or the one there is. Better is
measured on entities the model was not learned from: each half of the fleet is foretold by the other half's model.
"""

from __future__ import annotations

import numpy as np

from ebbtide.baseline.records import RecordModels
from ebbtide.baseline.records_fit import MATURE_CUTS, YOUNG_CUTS, Rows, fit, rows
from ebbtide.baseline.trailing_statistics import Float32

#: Coefficients are rounded, so that a stored model is the model.
DECIMALS = 4


def refit(kept: Float32, seen: Float32, days: range, known: RecordModels) -> RecordModels:
    """Young and mature models of every statistic, from daily maxima (entities, statistics, days) as in `fit_all`.

    Of the `known` models those are kept that foretell the days at least as well.
    """
    halves = tuple((kept[at::2], seen[at::2]) for at in range(2))
    return RecordModels.stack(
        [
            [
                _better([rows(a[:, which], b[:, which], days, cuts) for a, b in halves], known.single(which, age))
                for age, cuts in enumerate((YOUNG_CUTS, MATURE_CUTS))
            ]
            for which in range(kept.shape[1])
        ]
    )


def _better(halves: list[Rows], known: RecordModels) -> RecordModels:
    if any(not len(one.over) for one in halves):
        return known
    own = sum(log_likelihood(fit(halves[1 - at]), halves[at]) for at in range(2))
    if own <= sum(log_likelihood(known, one) for one in halves):
        return known
    model = fit(Rows.concat(halves))
    return RecordModels(*(np.round(getattr(model, name), DECIMALS) for name in RecordModels.__slots__))


def log_likelihood(model: RecordModels, sample: Rows) -> float:
    """ln of the density of a sample's records under one model, with arrays (5,) and (6,); larger foretells better.

    A day without a record has ln(1 - pi), one with a record ln pi + the exponential's log density of its excess.
    """
    z = sample.regressors.copy()
    z[:, 1:] = (z[:, 1:] - model.mean) / model.deviation
    logit = z @ model.rate
    is_record = sample.over > 0
    log_excess = np.clip(z[is_record] @ model.excess, -5.0, 3.0)
    chance = np.where(is_record, -np.logaddexp(0.0, -logit), -np.logaddexp(0.0, logit))
    return float(chance.sum() - (log_excess + sample.over[is_record] * np.exp(-log_excess)).sum())
