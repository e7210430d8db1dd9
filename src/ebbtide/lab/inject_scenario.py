"""What an exfiltration adds to an entity's traffic: bytes per step, from a scenario's parameters.

In: a scenario, and the entity's own traffic before the event. Out: added bytes on the grid. Nothing is random here;
when an event starts is drawn in `inject`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ebbtide.lab.traffic import DAY_S, HOUR_S
from ebbtide.series import Float64

MB = 1e6
GB = 1e9
HISTORY_DAYS = 30
#: A relative burst adds at least this over its whole length: three times nothing is no attack.
LEAST_RELATIVE = 3 * MB


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of attack; unused parameters are 0.

    `name`, `technique` (ATT&CK). `rate_bytes_per_s` constant, or `of_maximum` / `of_p99` times the entity's own largest
    or 99th percentile sample of the 30 days before, or `of_profile` of its own traffic a week earlier. It lasts
    `active_s`, `repeats` times, once every 24 h. `masked_by` bytes are sent over 1 h ten days before (masking).
    """

    name: str
    technique: str
    active_s: int
    rate_bytes_per_s: float = 0.0
    of_maximum: float = 0.0
    of_p99: float = 0.0
    of_profile: float = 0.0
    repeats: int = 1
    masked_by: float = 0.0

    @property
    def duration_s(self) -> int:
        """From the first added byte to the last of the judged part."""
        return (self.repeats - 1) * DAY_S + self.active_s

    @property
    def lead_s(self) -> int:
        """How long before the judged part the masking burst begins."""
        return 10 * DAY_S if self.masked_by else 0


def burst(name: str, size: float, minutes: int) -> Scenario:
    """`size` bytes at an even rate over some minutes."""
    return Scenario(name, "T1041", minutes * 60, rate_bytes_per_s=size / (minutes * 60))


def drip(name: str, size_per_hour: float, hours: int) -> Scenario:
    """`size_per_hour` bytes an hour, evenly, for some hours."""
    return Scenario(name, "T1030", hours * HOUR_S, rate_bytes_per_s=size_per_hour / HOUR_S)


def nightly(name: str, size: float, nights: int) -> Scenario:
    """`size` bytes in 30 minutes at the same time of some consecutive nights."""
    return Scenario(name, "T1029", 1800, rate_bytes_per_s=size / 1800, repeats=nights)


#: The nine scenarios of the mean.
MAIN: tuple[Scenario, ...] = (
    burst("burst 5 GB in 30 min", 5 * GB, 30),
    burst("burst 1 GB in 1 h", 1 * GB, 60),
    burst("burst 200 MB in 1 h", 200 * MB, 60),
    burst("burst 50 MB in 1 h", 50 * MB, 60),
    drip("drip 50 MB/h, 24 h", 50 * MB, 24),
    drip("drip 10 MB/h, 48 h", 10 * MB, 48),
    nightly("300 MB on five nights", 300 * MB, 5),
    Scenario("3 x own p99, 30 min", "T1041", 1800, of_p99=3.0),
    Scenario("1 x own maximum, 30 min", "T1041", 1800, of_maximum=1.0),
)

#: Reported beside the mean.
FURTHER: tuple[Scenario, ...] = (
    burst("1 GB in 5 min", 1 * GB, 5),
    Scenario("0.3 x own maximum, 30 min", "T1041", 1800, of_maximum=0.3),
    drip("drip 50 MB/h, 6 h", 50 * MB, 6),
    drip("drip 50 MB/h, 168 h", 50 * MB, 168),
    drip("drip 10 MB/h, 168 h", 10 * MB, 168),
    nightly("30 MB on five nights", 30 * MB, 5),
    Scenario("mimic +25 % for 7 d", "T1029+T1030", 7 * DAY_S, of_profile=0.25),
    Scenario("mimic +50 % for 7 d", "T1029+T1030", 7 * DAY_S, of_profile=0.5),
    Scenario(
        "200 MB, a 1 GB burst ten days before", "T1041", HOUR_S, rate_bytes_per_s=200 * MB / HOUR_S, masked_by=1 * GB
    ),
)


def added_bytes(scenario: Scenario, history: Float64, step_s: int) -> Float64:
    """What the scenario adds per step, (rows, steps), the masking burst's lead included.

    `history` is (rows, 30 days of steps): what each entity sent before the judged part, NaN where unknown. A relative
    burst adds LEAST_RELATIVE at least.
    """
    steps, lead_steps = scenario.duration_s // step_s, scenario.lead_s // step_s
    if scenario.of_profile:
        return scenario.of_profile * np.nan_to_num(history[:, -steps:])
    active = np.zeros(lead_steps + steps)
    for repeat in range(scenario.repeats):
        first = lead_steps + repeat * DAY_S // step_s
        active[first : first + scenario.active_s // step_s] = 1.0
    added = _per_step(scenario, history, step_s)[:, None] * active
    if lead_steps:
        added[:, : HOUR_S // step_s] = scenario.masked_by * step_s / HOUR_S
    return added


def _per_step(scenario: Scenario, history: Float64, step_s: int) -> Float64:
    """Bytes each row adds per active step, (rows,)."""
    level = np.full(len(history), scenario.rate_bytes_per_s * step_s)
    if scenario.of_maximum or scenario.of_p99:
        known = np.where(np.isnan(history).all(axis=1, keepdims=True), 0.0, history)
        level += scenario.of_maximum * np.nanmax(known, axis=1)
        level += scenario.of_p99 * np.nanpercentile(known, 99, axis=1)
        level = np.maximum(level, LEAST_RELATIVE * step_s / scenario.active_s)
    return level
