"""The joined detector over a store: every part at the same instant, under one budget for one fleet."""

from __future__ import annotations

from dataclasses import dataclass

from ebbtide import novelty, outbound
from ebbtide.detect.joined_detector import JoinedSettings
from ebbtide.novelty import JudgedNovelty
from ebbtide.outbound import Judged
from ebbtide.store.view import View


@dataclass(frozen=True, slots=True, eq=False)
class JudgedJoined:
    """What each part says at one instant."""

    outbound: Judged
    novelty: JudgedNovelty


def judge(view: View, now_ns: int, settings: JoinedSettings, metrics: tuple[str, ...] | None = None) -> JudgedJoined:
    """Both parts at `now_ns`, each with its share of the budget. An empty store is legal.

    A budget a day becomes one per 1000 entity-days by how large the fleet is: the larger of what both parts know.
    """
    entities = fleet(view, now_ns)
    amount = outbound.judge(view, now_ns, settings.outbound(), metrics, entities=entities)
    return JudgedJoined(amount, novelty.judge(view, now_ns, settings.novelty(), entities=entities))


def fleet(view: View, now_ns: int) -> int:
    """How many entities share the budget: those with closed days, or those that ever sent, whichever are more."""
    return max(outbound.fleet(view, now_ns), novelty.fleet(view, now_ns))
