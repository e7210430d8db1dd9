"""Twelve days of a small shop in which little is new, for tests of novelty."""

from __future__ import annotations

from pathlib import Path

import pytest

from build import Point, batch_of
from ebbtide.series import SECOND_NS, Entity
from ebbtide.store.store import Store
from once import made_once

DAYS = 12
DAY_S = 20_000 * 86_400
NOW_S = DAY_S + (DAYS - 1) * 86_400 + 10 * 3600 + 600
NOW_NS = NOW_S * SECOND_NS
NGINX, WORKER, CDN, JOB, CURL = (
    Entity("prod", "shop", workload, process)
    for workload, process in (
        ("checkout", "nginx"),
        ("worker", "python"),
        ("cdn", "fetch"),
        ("migrate", "psql"),
        ("checkout", "curl"),
    )
)


def usual() -> list[Point]:
    """Two entities with their destinations, one that meets new ones all day, one that ran on the first day only."""
    points = [Point(DAY_S + 1800, 4e6, sender=JOB, to="db.example")]
    for hour in range(0, DAYS * 24, 2):
        end = DAY_S + hour * 3600 + 60
        points += [Point(end, 2e6), Point(end, 1e6, sender=WORKER, to="queue.example", receiver=NGINX)]
        if hour % 6 == 0:
            points.append(Point(end, 1e6, sender=CDN, to=f"d{hour}.cdn.example"))
    return [one for one in points if one.end_s <= NOW_S]


def usual_store(factory: pytest.TempPathFactory) -> Path:
    """A closed store of it, rolled up; made once a run, so copy what you change."""

    def make(path: Path) -> None:
        with Store.open(path) as store:
            store.append(batch_of(usual()), store.begin("import", "test"))
            store.roll_up()

    return made_once(factory, "usual.duckdb", make)


def sent(amount: float, sender: Entity = NGINX, to: str = "203.0.113.9", **more: object) -> Point:
    return Point(NOW_S - 60, amount, sender=sender, to=to, **more)
