"""What happens in a cluster although nothing is wrong: drawn for a plan, each with its ground truth.

In: a layout, or a plan and one kind of event. Out: effects on edges, new edges, rollouts, gaps, and a `BenignEvent` for
every one of them. The same events serve as the ordinary life of a simulation and, one kind at a time, as the hard
negatives of an evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable

from ebbtide.lab.simulate_plan import (
    NEVER,
    PER_DAY,
    PER_HOUR,
    PER_MINUTE,
    BenignEvent,
    Draft,
    Draws,
    Edge,
    Effect,
    Parameters,
    Party,
    Plan,
    Shape,
)
from ebbtide.lab.simulate_topology import KB, MB, Layout, draw_topology, pod

#: A month's worth of events per entity at churn 1.
_MONTHLY = {"rollout": 4.0, "restart": 2.0, "scale-out": 0.5, "surge": 0.25, "growth": 0.05, "retry storm": 0.3}
#: New destinations a day for an entity that calls out at novelty 1, and one-off shells per entity.
CDN_A_DAY, SHELLS_A_DAY = 1.5, 0.02
_SHELLS = ("sh", "bash", "curl", "wget", "kubectl")
_HEX = "0123456789abcdef"


def draw_plan(parameters: Parameters) -> Plan:
    """A whole cluster with its life. Raises ValueError for too few entities."""
    layout = draw_topology(parameters)
    draws = Draws(parameters.seed, 20)
    if parameters.churn > 0:
        _everyday(layout, draws)
    if parameters.novelty > 0:
        _novelty(layout, draws)
    return layout.draft.finish()


def _everyday(layout: Layout, draws: Draws) -> None:
    draft, parameters = layout.draft, layout.draft.parameters
    share = parameters.days / 30 * parameters.churn
    adders = {"rollout": rollout, "restart": restart, "scale-out": scale_out, "surge": surge, "growth": growth,
              "retry storm": retry_storm}  # fmt: skip
    for party in range(len(draft.parties)):
        if draft.parties[party].resolution != "K8S_CONTAINER":
            continue
        for kind, monthly in _MONTHLY.items():
            for _ in range(draws.count(monthly * share)):
                adders[kind](draft, draws, party, parameters.first + draws.integer(PER_HOUR, parameters.days * PER_DAY))
    for _ in range(draws.count(3 * share)):
        gap(draft, draws, parameters.first + draws.integer(PER_DAY // 2, parameters.days * PER_DAY))
    for party in layout.of("api"):
        for _ in range(draws.count(0.2 * share)):
            cron_added(draft, draws, party, parameters.first + draws.integer(PER_DAY, parameters.days * PER_DAY))


def _novelty(layout: Layout, draws: Draws) -> None:
    draft, parameters = layout.draft, layout.draft.parameters
    for party in (*layout.of("api"), *layout.of("worker"), *layout.of("web")):
        for _ in range(draws.count(CDN_A_DAY * parameters.days * parameters.novelty)):
            cdn(draft, draws, party, parameters.first + draws.integer(0, parameters.days * PER_DAY))
    for party in (*layout.of("api"), *layout.of("db"), *layout.of("worker")):
        for _ in range(draws.count(SHELLS_A_DAY * parameters.days * parameters.novelty)):
            shell(draft, draws, party, parameters.first + draws.integer(0, parameters.days * PER_DAY))
    for party in layout.of("report"):
        for day in range(draws.count(parameters.days * min(parameters.novelty / 10, 1.0))):
            _job_run(draft, draws, party, day)


def _note(draft: Draft, kind: str, party: int, first: int, last: int, detail: str = "") -> None:
    who = draft.parties[party]
    subject = str(who.entity) if who.entity else who.workload
    draft.events.append(BenignEvent(kind, subject, first, min(last, draft.parameters.last), detail))


def rollout(draft: Draft, draws: Draws, party: int, first: int) -> None:
    """A new image: every container of the workload restarts, and the node pulls it."""
    length = draws.integer(1, 4)
    for at in draft.same_image(party):
        draft.rollouts.append((at, first))
        _silence(draft, at, first, length)
    _pull(draft, draws, first)
    _note(draft, "rollout", party, first, first + 4)


def _pull(draft: Draft, draws: Draws, first: int) -> None:
    for edge in draft.edges:
        if draft.parties[edge.server].workload == "registry.images.example":
            size = draws.integer(20, 300) * MB / 3
            pulled = Edge(edge.client, edge.server, size / 150, size, 0, shape=Shape.FLAT, sockets=4,
                          born=first - draft.parameters.first, gone=first - draft.parameters.first + 3)  # fmt: skip
            draft.add(pulled)
            return


def _silence(draft: Draft, party: int, first: int, length: int) -> None:
    """Down for some intervals; then everybody connects anew."""
    edges = draft.edges_of(party)
    draft.effects.append(Effect(edges, first, first + length, is_silent=True))
    draft.effects.append(Effect(edges, first + length, first + length + 1, sockets=12.0))


def restart(draft: Draft, draws: Draws, party: int, first: int) -> None:
    """A container dies and comes back within two minutes."""
    length = draws.integer(1, 5)
    _silence(draft, party, first, length)
    _note(draft, "restart", party, first, first + length)


def scale_out(draft: Draft, draws: Draws, party: int, first: int) -> None:
    """Two to ten times the replicas for some hours or days, because demand grew alike in both directions."""
    replicas, last = draws.integer(2, 11), first + draws.integer(3, 72) * PER_HOUR
    factor = float(replicas)
    draft.effects.append(Effect(draft.edges_of(party), first, last, factor, factor, factor, replicas=replicas))
    _note(draft, "scale-out", party, first, last, f"x{replicas}")


def surge(draft: Draft, draws: Draws, party: int, first: int) -> None:
    """Demand is 2 to 5 times as large for up to three days, inbound and outbound alike."""
    factor, last = float(draws.integer(2, 6)), first + draws.integer(2, 72) * PER_HOUR
    draft.effects.append(Effect(draft.edges_of(party), first, last, factor, factor, factor))
    _note(draft, "surge", party, first, last, f"x{factor:g}")


def growth(draft: Draft, draws: Draws, party: int, first: int, a_day: float = 0.03) -> None:
    """A little more every day, for good."""
    del draws
    draft.effects.append(Effect(draft.edges_of(party), first, NEVER, growth=a_day))
    _note(draft, "growth", party, first, NEVER, f"{a_day:.0%} a day")


def retry_storm(draft: Draft, draws: Draws, party: int, first: int) -> None:
    """A server fails for up to an hour: clients connect again and again, send more and receive little."""
    last = first + draws.integer(10, PER_HOUR)
    served = tuple(at for at in draft.edges_of(party) if draft.edges[at].server == party)
    if served:
        draft.effects.append(Effect(served, first, last, up=2.0, down=0.1, sockets=25.0))
        _note(draft, "retry storm", party, first, last)


def gap(draft: Draft, draws: Draws, first: int, length: int = 0) -> None:
    """The source is silent, from one interval (a restart of the reducer) to three hours."""
    last = first + (length or draws.choice((1, 1, 2, 4, 20, 120, 360)))
    draft.gaps.append((first, last))
    draft.events.append(BenignEvent("gap of the source", draft.parameters.cluster, first, last))


def cron_added(draft: Draft, draws: Draws, party: int, first: int, size: float = 0.0) -> None:
    """From now on a process sends a file of 20 to 400 MB every night, to a place of its own."""
    born = first - draft.parameters.first
    length = draws.integer(4, 40)
    total = size or draws.integer(20, 400) * MB
    target = draft.party(Party(f"s3.exports-{draws.integer(0, 10**6)}.storage.example", resolution="AWS"))
    draft.add(
        Edge(party, target, total / length, total / length / 60, 0, spread=0, shape=Shape.FLAT, every=PER_DAY,
             first=born % PER_DAY, length=length, jitter=4, born=born, sockets=0.3)
    )  # fmt: skip
    _note(draft, "cron added", party, first, NEVER, f"{total / MB:.0f} MB a night")


def cdn(draft: Draft, draws: Draws, party: int, first: int) -> None:
    """A destination with a name that was never seen before, for some hours: content networks do that all day."""
    name = "".join(draws.choice(_HEX) for _ in range(13))
    place = f"d{name}.cdn.example" if draws.chance(0.7) else ""
    born, last = first - draft.parameters.first, first + draws.integer(PER_MINUTE, 12 * PER_HOUR)
    target = draft.party(Party(place, resolution="DNS" if place else "IP"))
    size = draws.factor(3)
    draft.add(
        Edge(party, target, 3 * KB * size, 60 * KB * size, 0, spread=2, shape=Shape.USERS, activity=0.3, sockets=1,
             born=born, gone=last - draft.parameters.first)
    )  # fmt: skip
    _note(draft, "new destination", party, first, last, place or "an address without a name")


def shell(draft: Draft, draws: Draws, party: int, first: int) -> None:
    """Somebody opens a shell in a container and fetches something: a process never seen there, for some minutes."""
    host = draft.parties[party]
    process = draws.choice(_SHELLS)
    who = draft.party(Party(host.workload, process, host.namespace, host.cluster, host.resolution, host.container,
                            host.image))  # fmt: skip
    target = draft.party(Party(draws.choice(("deb.packages.example", "pypi.packages.example", "git.example"))))
    born, last = first - draft.parameters.first, first + draws.integer(1, 40)
    size = draws.factor(3)
    draft.add(Edge(who, target, 6 * KB * size, 500 * KB * size, 0, shape=Shape.FLAT, sockets=2, born=born,
                   gone=last - draft.parameters.first))  # fmt: skip
    _note(draft, "one-off shell", who, first, last, process)


def _job_run(draft: Draft, draws: Draws, party: int, day: int) -> None:
    """One run of a job under a name of its own, as agents show it that may not read Jobs."""
    host = draft.parties[party]
    born = day * PER_DAY + draws.integer(0, PER_DAY - 20)
    first = born + draft.parameters.first
    who = draft.party(Party(host.workload, host.process, host.namespace, host.cluster, host.resolution, host.container,
                            host.image, f"{host.workload}-{first // PER_MINUTE}"))  # fmt: skip
    server = next((edge.server for edge in draft.edges if edge.client == party), party)
    draft.add(Edge(who, server, 9 * KB, 30 * KB, 0, shape=Shape.FLAT, sockets=1, born=born, gone=born + 12))
    _note(draft, "run of a job", who, first, first + 12, draft.parties[who].shown)


def backup_changed(draft: Draft, backups: Iterable[int], first: int, shift_h: int, factor: float) -> None:
    """From now on backups run some hours later, or carry more."""
    edges = tuple(backups)
    draft.effects.append(Effect(edges, first, NEVER, up=factor, down=factor, shift_h=shift_h))
    for at in edges:
        _note(draft, "backup changed", draft.edges[at].client, first, NEVER, f"{shift_h:+d} h, x{factor:g}")


def clocks_changed(draft: Draft, first: int) -> None:
    """Daylight saving: people and schedules are an hour earlier from now on."""
    edges = tuple(range(len(draft.edges)))
    draft.effects.append(Effect(edges, first, NEVER, shift_h=-1))
    draft.events.append(BenignEvent("daylight saving", draft.parameters.cluster, first, draft.parameters.last))


def workload_added(draft: Draft, draws: Draws, api: int, first: int) -> None:
    """A new workload serves an existing one, and sends to its own database in another cluster's storage."""
    host = draft.parties[api]
    who = draft.party(pod(draft.parameters, host.namespace, f"{host.workload}-v2", host.process))
    born, size = first - draft.parameters.first, draws.factor(2)
    draft.add(Edge(api, who, 40 * KB * size, 160 * KB * size, 0, activity=0.8, sockets=1, born=born))
    target = draft.party(Party(f"s3.{host.namespace}-v2.storage.example", resolution="AWS"))
    draft.add(Edge(who, target, 90 * KB * size, 5 * KB, 0, spread=2, activity=0.3, sockets=1, born=born))
    _note(draft, "new workload", who, first, NEVER)
