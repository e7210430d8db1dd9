"""Draw a cluster: applications of the usual parts, node agents, name service, monitoring, and the world outside.

Every application is a namespace with a web tier, an API, a database, a cache, a queue, a worker, a cron job, a backup
and a migration that ran once and is silent since. Sizes differ from one to the next by a wide lognormal. What an edge
carries is a judgement, not a measurement: docs/laboratory.md lists the numbers and where they come from.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from ebbtide.lab.simulate_plan import PER_DAY, PER_HOUR, PER_MINUTE, Draft, Draws, Edge, Parameters, Party, Shape

KB, MB = 1e3, 1e6
LEAST_ENTITIES = 15
_APPLICATIONS = ("shop", "billing", "search", "media", "ledger", "fleet", "mail", "crm", "maps", "ads", "risk", "docs")
_RUNTIMES = ("java", "node", "python3", "checkoutservice", "dotnet", "ruby", "gunicorn", "api-server")
_DATABASES = ("postgres", "mysqld", "mongod")
_DUMPS = {"postgres": "pg_dump", "mysqld": "mysqldump", "mongod": "mongodump"}
_CACHES = ("redis-server", "memcached")
_QUEUES = ("beam.smp", "java", "nats-server")
_ROLES = ("web", "api", "db", "cache", "queue", "worker", "backup", "report", "migrate")
#: Places outside, by the name the source would give them.
_REGIONS = ("eu-central-1", "eu-west-1", "us-east-1")
_SERVICES = ("api.payments.example", "api.mail.example", "hooks.chat.example", "auth.identity.example")


@dataclass(slots=True)
class Layout:
    """What later steps need to know about the draft: numbers of parties and edges by role."""

    draft: Draft
    roles: dict[str, list[int]] = field(default_factory=dict)
    backups: list[int] = field(default_factory=list)
    images: list[int] = field(default_factory=list)

    def note(self, role: str, party: int) -> int:
        """Remember a party by its role."""
        self.roles.setdefault(role, []).append(party)
        return party

    def of(self, role: str) -> list[int]:
        """The parties of a role."""
        return self.roles.get(role, [])


def draw_topology(parameters: Parameters) -> Layout:
    """The cluster as it is on an ordinary day. Raises ValueError below LEAST_ENTITIES entities."""
    if parameters.entities < LEAST_ENTITIES:
        raise ValueError(f"a simulated cluster has at least {LEAST_ENTITIES} entities")
    layout = Layout(Draft(parameters))
    _infrastructure(layout)
    number = 0
    while (missing := parameters.entities - _entities(layout)) > 0:
        _Application(layout, number).draw(_ROLES[:missing])
        number += 1
    _watching(layout)
    return layout


def _entities(layout: Layout) -> int:
    return sum(party.entity is not None for party in layout.draft.parties)


def pod(parameters: Parameters, namespace: str, workload: str, process: str) -> Party:
    """A process in a container of this cluster."""
    image = f"{workload}:v1."
    return Party(workload, process, namespace, parameters.cluster, "K8S_CONTAINER", process.split(".")[0], image)


def _host(parameters: Parameters, process: str) -> Party:
    return Party(process, process, "", parameters.cluster, "PROCESS")


def _infrastructure(layout: Layout) -> None:
    """Name service, monitoring, log shipping, node agents, ingress."""
    draft, parameters = layout.draft, layout.draft.parameters
    places = {
        "dns": pod(parameters, "kube-system", "coredns", "coredns"),
        "watch": pod(parameters, "monitoring", "prometheus", "prometheus"),
        "logs": pod(parameters, "monitoring", "fluent-bit", "fluent-bit"),
        "ingress": pod(parameters, "ingress-nginx", "ingress-nginx-controller", "nginx"),
        "kubelet": _host(parameters, "kubelet"),
        "apiserver": _host(parameters, "kube-apiserver"),
    }
    at = {role: layout.note(role, draft.party(party)) for role, party in places.items()}
    outside = draft.party(Party("DNS"))
    draft.add(Edge(at["dns"], outside, 12 * KB, 25 * KB, 0, is_udp=True, spread=1, activity=1.0))
    sink = draft.party(Party("ingest.logs.example"))
    draft.add(Edge(at["logs"], sink, 900 * KB, 12 * KB, 0, spread=1, activity=1.0, burst=0.002, sockets=0.1))
    draft.add(Edge(at["kubelet"], at["apiserver"], 40 * KB, 60 * KB, 0, spread=0, shape=Shape.FLAT, sockets=0.02))
    draft.add(Edge(at["watch"], at["apiserver"], 5 * KB, 450 * KB, 0, spread=0, shape=Shape.FLAT))
    registry = draft.party(Party("registry.images.example"))
    layout.images.append(
        draft.add(Edge(at["kubelet"], registry, 2 * KB, 9 * KB, 0, shape=Shape.FLAT, activity=0.01, sockets=1))
    )


class _Application:
    """One namespace and its edges."""

    def __init__(self, layout: Layout, number: int) -> None:
        self._layout, self._draft = layout, layout.draft
        self._draws = Draws(self._draft.parameters.seed, 10, number)
        suffix = "" if number < len(_APPLICATIONS) else str(number // len(_APPLICATIONS))
        self._namespace = _APPLICATIONS[number % len(_APPLICATIONS)] + suffix
        self._size = self._draws.factor(3)
        self._group = number + 1
        self._shape = self._draws.choice((Shape.USERS, Shape.USERS, Shape.OFFICE))
        self._at: dict[str, int] = {}
        self._database = self._draws.choice(_DATABASES)

    def draw(self, roles: tuple[str, ...]) -> None:
        """Add these parts, and the edges among those that are there."""
        for role in roles:
            party = pod(self._draft.parameters, self._namespace, self._name(role), self._process(role))
            self._at[role] = self._layout.note(role, self._draft.party(party))
        for role in roles:
            getattr(self, f"_{role}")()

    def _name(self, role: str) -> str:
        return role if role in ("web", "api") else f"{self._namespace}-{role}"

    def _process(self, role: str) -> str:
        draws = self._draws
        processes = {
            "web": "nginx",
            "api": draws.choice(_RUNTIMES),
            "db": self._database,
            "cache": draws.choice(_CACHES),
            "queue": draws.choice(_QUEUES),
            "worker": draws.choice(("python3", "java", "sidekiq")),
            "backup": _DUMPS[self._database],
            "report": "python3",
            "migrate": "flyway",
        }
        return processes[role]

    def _edge(self, client: int, server: int, up: float, down: float, **more: object) -> int:
        """An edge whose mean is this application's size, itself spread."""
        scale = self._size * self._draws.factor(2)
        edge = Edge(client, server, up * scale, down * scale, self._group, shape=self._shape)
        return self._draft.add(dataclasses.replace(edge, **more))  # type: ignore[arg-type]

    def _place(self, name: str, resolution: str = "DNS") -> int:
        return self._draft.party(Party(name, resolution=resolution))

    def _web(self) -> None:
        ingress = self._layout.of("ingress")[0]
        world = self._place("", "IP")
        self._edge(world, ingress, 60 * KB, 900 * KB, spread=2, activity=0.9, burst=0.003, sockets=12)
        self._edge(ingress, self._at["web"], 60 * KB, 850 * KB, spread=2, activity=0.9, burst=0.003, sockets=1)

    def _api(self) -> None:
        api = self._at["api"]
        if "web" in self._at:
            self._edge(self._at["web"], api, 80 * KB, 350 * KB, spread=1, activity=0.85, sockets=2)
        others = [one for one in self._layout.of("api") if one != api]
        if others and self._draws.chance(0.6):
            self._edge(api, self._draws.choice(others), 15 * KB, 40 * KB, spread=2, activity=0.4, sockets=1)
        service = self._place(self._draws.choice(_SERVICES))
        self._edge(api, service, 8 * KB, 11 * KB, spread=2, activity=0.3, burst=0.004, sockets=2)

    def _db(self) -> None:
        if "api" in self._at:
            self._edge(self._at["api"], self._at["db"], 60 * KB, 260 * KB, spread=1, activity=0.8, burst=0.002)

    def _cache(self) -> None:
        if "api" in self._at:
            self._edge(self._at["api"], self._at["cache"], 30 * KB, 160 * KB, spread=1, activity=0.7)

    def _queue(self) -> None:
        if "api" in self._at:
            self._edge(self._at["api"], self._at["queue"], 45 * KB, 4 * KB, spread=2, activity=0.5)

    def _worker(self) -> None:
        worker = self._at["worker"]
        self._edge(worker, self._at["queue"], 5 * KB, 45 * KB, spread=2, activity=0.5)
        self._edge(worker, self._at["db"], 40 * KB, 20 * KB, spread=2, activity=0.35, burst=0.003)
        store = self._place(f"s3.{self._draws.choice(_REGIONS)}.storage.example", "AWS")
        self._edge(worker, store, 300 * KB, 8 * KB, spread=3, activity=0.12, burst=0.01, sockets=3)
        if self._draws.chance(0.4):  # a batch of its own every few hours
            every = self._draws.choice((2, 4, 6, 12)) * PER_HOUR
            self._edge(
                worker, self._at["db"], 200 * KB, 3 * MB, spread=1, shape=Shape.FLAT, every=every,
                first=self._draws.integer(0, every), length=self._draws.integer(10, 80), jitter=6, sockets=0.2,
            )  # fmt: skip

    def _backup(self) -> None:
        draws = self._draws
        first, length = draws.integer(0, 5 * PER_HOUR), draws.integer(20, 120)
        store = self._place(f"backup.{draws.choice(_REGIONS)}.storage.example", "AWS")
        rate = min(self._size, 8.0) * 4 * MB * draws.factor(1)
        schedule = Edge(
            self._at["backup"], store, rate, rate / 80, self._group, spread=0, shape=Shape.FLAT, every=PER_DAY,
            first=first, length=length, jitter=8, weekend_factor=3.0, month_end_factor=2.0, sockets=0.2,
        )  # fmt: skip
        self._layout.backups.append(self._draft.add(schedule))
        read = dataclasses.replace(schedule, server=self._at["db"], up=rate / 120, down=rate * 1.02)
        self._layout.backups.append(self._draft.add(read))

    def _report(self) -> None:
        """A short job every few minutes, and one file to a partner every night."""
        every = self._draws.choice((5, 10, 15, 60)) * PER_MINUTE
        self._edge(
            self._at["report"], self._at["api"], 12 * KB, 60 * KB, shape=Shape.FLAT, every=every,
            first=self._draws.integer(0, every), length=self._draws.integer(1, 4), sockets=1,
        )  # fmt: skip
        partner = self._place(f"sftp.{self._namespace}-partner.example")
        self._edge(
            self._at["report"], partner, 2 * MB, 30 * KB, spread=1, shape=Shape.FLAT, every=PER_DAY,
            first=3 * PER_HOUR + self._draws.integer(0, PER_HOUR), length=self._draws.integer(2, 12), jitter=4,
            sockets=0.5,
        )  # fmt: skip

    def _migrate(self) -> None:
        """Spoke in the first hours, and has been silent since."""
        first = self._draws.integer(5, PER_HOUR)
        self._edge(
            self._at["migrate"], self._at["db"], 90 * KB, 40 * KB, shape=Shape.FLAT, born=first, gone=first + 40,
            sockets=0.5,
        )  # fmt: skip


def _watching(layout: Layout) -> None:
    """Names asked for, and metrics scraped: edges nearly everybody has."""
    draft = layout.draft
    draws = Draws(draft.parameters.seed, 11)
    [dns], [watch] = layout.of("dns"), layout.of("watch")
    for at, party in enumerate(list(draft.parties)):
        if party.entity is None or at in (dns, watch) or party.process in ("flyway",):
            continue
        busy = 0.5 if party.process in ("nginx", *_RUNTIMES) else 0.08
        size = draws.factor(1)
        draft.add(
            Edge(at, dns, 350 * size, 700 * size, 0, is_udp=True, spread=2, shape=Shape.USERS, activity=busy * size)
        )
        if draws.chance(0.5):
            metrics = 60 * KB * draws.factor(2)
            draft.add(Edge(watch, at, 1.5 * KB, metrics, 0, spread=0, shape=Shape.FLAT, activity=0.999))
