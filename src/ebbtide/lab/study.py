"""Figures of the design study, to print beside ours.

The detector was described and measured once, by other hands and another program, before it was written here: the same
traffic, the same nine scenarios, its own draws of start times. These are that study's figures; nothing is computed
from them.
"""

from __future__ import annotations

#: Budget: recall and realised findings per 1000 entity-days.
FIXED = {100: (0.80, 92.0), 30: (0.79, 34.0), 10: (0.73, 12.2), 3: (0.61, 4.9), 1: (0.46, 1.8)}
DAILY = {100: (0.80, 100.0), 30: (0.79, 34.0), 10: (0.74, 11.9), 3: (0.58, 3.3), 1: (0.40, 1.3)}
EXACT = {100: 0.80, 30: 0.78, 10: 0.72, 3: 0.52, 1: 0.38}
SLIDING = {100: (0.80, 96.0), 30: (0.79, 36.0), 10: (0.73, 11.6), 3: (0.60, 4.1), 1: (0.44, 1.3)}
UPSTREAM = {100: (0.50, 108.0), 30: (0.45, 34.0), 10: (0.40, 13.7), 3: (0.28, 2.4), 1: (0.20, 1.0)}
UPSTREAM_EXACT = {100: 0.49, 30: 0.44, 10: 0.38, 3: 0.30, 1: 0.18}

#: Recall at budgets 1, 3, 10, 30, 100.
BY_SCENARIO = {
    "burst 5 GB in 30 min": (0.77, 0.86, 0.91, 0.92, 0.92),
    "burst 1 GB in 1 h": (0.65, 0.79, 0.87, 0.88, 0.91),
    "burst 200 MB in 1 h": (0.50, 0.64, 0.75, 0.80, 0.83),
    "burst 50 MB in 1 h": (0.34, 0.48, 0.58, 0.65, 0.71),
    "drip 50 MB/h, 24 h": (0.50, 0.62, 0.71, 0.78, 0.80),
    "drip 10 MB/h, 48 h": (0.26, 0.38, 0.53, 0.62, 0.61),
    "300 MB on five nights": (0.54, 0.69, 0.76, 0.76, 0.65),
    "3 x own p99, 30 min": (0.23, 0.42, 0.65, 0.78, 0.84),
    "1 x own maximum, 30 min": (0.39, 0.64, 0.83, 0.90, 0.92),
    "1 GB in 5 min": (0.63, 0.74, 0.81, 0.84, 0.86),
    "0.3 x own maximum, 30 min": (0.17, 0.42, 0.69, 0.79, 0.89),
    "drip 50 MB/h, 6 h": (0.45, 0.59, 0.71, 0.77, 0.81),
    "drip 50 MB/h, 168 h": (0.48, 0.60, 0.69, 0.68, 0.54),
    "drip 10 MB/h, 168 h": (0.25, 0.37, 0.52, 0.58, 0.50),
    "30 MB on five nights": (0.25, 0.41, 0.52, 0.56, 0.53),
    "mimic +25 % for 7 d": (0.00, 0.05, 0.18, 0.28, 0.32),
    "mimic +50 % for 7 d": (0.02, 0.10, 0.25, 0.37, 0.35),
    "200 MB, a 1 GB burst ten days before": (0.01, 0.29, 0.50, 0.67, 0.77),
}

#: Added bytes relative to the entity's own: events, recall at budgets 1, 3, 10, 30, 100.
BY_RHO = (
    (380, (0.10, 0.15, 0.20, 0.27, 0.33)),
    (250, (0.14, 0.27, 0.36, 0.43, 0.51)),
    (413, (0.17, 0.27, 0.43, 0.56, 0.64)),
    (645, (0.22, 0.39, 0.60, 0.72, 0.78)),
    (880, (0.36, 0.64, 0.81, 0.89, 0.88)),
    (657, (0.54, 0.80, 0.92, 0.95, 0.91)),
    (1311, (0.87, 0.92, 0.97, 0.97, 0.94)),
)

#: Findings per 1000 entity-days at budgets 30, 10, 3.
NEGATIVES = {
    "unchanged": (33.7, 12.2, 4.9),
    "unchanged, days 70-75": (26.2, 7.9, 3.2),
    "growth 3 % a day, both directions": (73.0, 15.7, 5.4),
    "growth 3 % a day, sent only": (170.0, 31.9, 8.7),
    "x5 for 3 days, both directions (70-75)": (224.6, 119.8, 31.7),
    "scale-out x4 from day 70, both (70-75)": (254.0, 114.3, 30.2),
    "sent doubles from day 70 (70-75)": (318.3, 142.9, 65.1),
    "all jobs 2 h later from day 70 (70-75)": (43.7, 11.1, 3.2),
    "12 h without data on day 70 (70-75)": (25.4, 7.9, 3.2),
    "new nightly job 300 MB from day 70 (70-91)": (180.5, 120.4, 73.1),
}

#: Share of return traffic: recall at budgets 100, 30, 10, 3, 1.
RETURN_SHARE = {
    0.0: (0.81, 0.81, 0.76, 0.66, 0.51),
    0.03: (0.80, 0.79, 0.73, 0.62, 0.46),
    0.1: (0.78, 0.76, 0.69, 0.55, 0.40),
    0.3: (0.75, 0.71, 0.61, 0.45, 0.31),
    1.0: (0.56, 0.44, 0.31, 0.17, 0.08),
}

#: Days of history: recall and realised findings at budgets 100, 30, 10, 3, 1.
YOUNG = {
    1: ((0.62, 68.1), (0.56, 36.4), (0.46, 18.4), (0.27, 6.7), (0.07, 2.7)),
    2: ((0.66, 38.1), (0.58, 23.4), (0.47, 10.8), (0.34, 4.7), (0.18, 1.0)),
    3: ((0.72, 45.3), (0.66, 30.2), (0.60, 19.3), (0.49, 10.0), (0.36, 4.6)),
    5: ((0.75, 50.2), (0.71, 30.0), (0.65, 19.7), (0.55, 11.5), (0.44, 5.1)),
    7: ((0.78, 51.5), (0.73, 27.6), (0.68, 16.1), (0.60, 9.7), (0.48, 4.2)),
    14: ((0.80, 84.9), (0.78, 31.6), (0.71, 16.3), (0.61, 6.8), (0.48, 2.3)),
    30: ((0.80, 91.9), (0.79, 35.5), (0.72, 14.0), (0.62, 5.9), (0.46, 1.9)),
}

#: Decisions every 5 minutes at budget 10: minutes median and p90, MB lost median and p90, share lost median.
DELAYS = {
    "burst 5 GB in 30 min": (5, 10, 833, 1667, 0.17),
    "burst 1 GB in 1 h": (5, 30, 83, 500, 0.08),
    "burst 200 MB in 1 h": (10, 40, 33, 133, 0.17),
    "burst 50 MB in 1 h": (10, 50, 8, 42, 0.17),
    "drip 50 MB/h, 24 h": (20, 245, 17, 204, 0.01),
    "drip 10 MB/h, 48 h": (35, 494, 6, 82, 0.01),
    "300 MB on five nights": (5, 30, 50, 300, 0.03),
    "3 x own p99, 30 min": (10, 30, 57, 909, 0.33),
    "1 x own maximum, 30 min": (10, 30, 109, 1468, 0.33),
    "1 GB in 5 min": (5, 5, 1000, 1000, 1.00),
}

#: Peers as shipped: recall and findings per 1000 entity-days.
PEERS_SHIPPED = {
    "C0 upstream rule": (0.47, 74.0),
    "C3 Grafana adaptive": (0.68, 278.0),
    "C4 Grafana robust": (0.73, 369.0),
    "C5 Sentinel decomposition": (0.61, 159.0),
    "C8 DSPOT": (0.31, 36.0),
}
