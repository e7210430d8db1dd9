"""What arrives is garbage, comes twice and out of order, or brings names without end."""

import os
import random
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import pyarrow as pa
import pytest
from requests_of_decode import EDGE, END_NS, Point, hec, otlp_json, proto, remote_write

from ebbtide.decode.preset import load_preset
from ebbtide.guard import Caps, Guard
from ebbtide.receive.intake import Intake
from ebbtide.receive.serving import serve
from ebbtide.receive.settings import Receivers
from ebbtide.receive.source import Source
from ebbtide.series import SECOND_NS
from ebbtide.store.check import check
from ebbtide.store.store import Store

#: How many; `make faults` asks for more.
BODIES = int(os.environ.get("EBBTIDE_FAULT_BODIES", "120"))
SERIES = int(os.environ.get("EBBTIDE_FAULT_SERIES", "4000"))
SOURCE = Source.of(load_preset("opentelemetry-network"), "default")


@pytest.fixture
def make() -> Iterator[Callable[..., tuple[Store, Intake]]]:
    """Makes started intakes over stores in memory."""
    made: list[tuple[Store, Intake]] = []

    def one(**how: object) -> tuple[Store, Intake]:
        store = Store.open()
        intake = Intake(store, clock=lambda: END_NS + 60 * SECOND_NS, **how)
        intake.start()
        made.append((store, intake))
        return made[-1]

    yield one
    for store, intake in made:
        intake.stop()
        store.close()


def of(workload: str, value: float = 1, end_ns: int = END_NS) -> Point:
    return Point(value=value, labels=EDGE | {"source.workload.name": workload}, end_ns=end_ns)


def spoiled(body: bytes, rng: random.Random) -> bytes:
    """A body with a part of it cut out, repeated, overwritten or followed by noise; or noise alone."""
    at, length = rng.randrange(len(body)), rng.randrange(1, 40)
    noise = rng.randbytes(length)
    return rng.choice(
        [body[:at], body[:at] + body[at + length :], body[:at] + noise + body[at + length :],
         body[:at] + body[at : at + length] * 3 + body[at:], body + noise, noise, b""]
    )  # fmt: skip


def test_garbage_by_the_thousand_stops_nothing(make, record_property):
    store, intake = make()
    local = {"address": "127.0.0.1:0"}
    settings = {"otlp_http": local, "remote_write": local, "hec": local | {"preset": "opentelemetry-network"}}
    servers = serve(intake, Receivers.model_validate(settings))
    ports = dict(zip([kind for kind, _ in Receivers.model_validate(settings).listeners()], servers, strict=True))
    rng = random.Random(3)
    point = of("spoiledw")
    kinds = [
        ("otlp_http", "/v1/metrics", proto([point]), {"content-type": "application/x-protobuf"}),
        ("otlp_http", "/v1/metrics", otlp_json([point]), {"content-type": "application/json"}),
        ("remote_write", "/api/v1/write", remote_write([point]),
         {"content-type": "application/x-protobuf", "content-encoding": "snappy"}),
        ("hec", "/services/collector", hec([point]), {"authorization": "Splunk x"}),
    ]  # fmt: skip
    good, said = proto([of("goodw", 7)]), Counter[int]()
    began = time.monotonic()
    try:
        with httpx.Client(timeout=10) as client:
            for number in range(BODIES):
                kind, path, body, headers = kinds[number % len(kinds)]
                url = f"http://127.0.0.1:{ports[kind].port}{path}"
                answer = client.post(url, content=spoiled(body, rng), headers=headers)
                said[answer.status_code] += 1
                if number % 50 == 0:
                    good = proto([of("goodw", 7, END_NS - number * SECOND_NS)])
                    url = f"http://127.0.0.1:{ports['otlp_http'].port}/v1/metrics"
                    assert client.post(url, content=good, headers=kinds[0][3]).status_code == 200
        took_s = time.monotonic() - began
    finally:
        for server in servers:
            server.stop()

    assert max(said) < 500, said
    assert said[400] > BODIES // 4
    assert intake.counts().bugs == 0
    assert intake.room.held == 0
    assert 7.0 * -(-BODIES // 50) in store.totals().values()
    assert check(store) == []
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(said.items()))
    record_property(
        "figure",
        "garbage bodies (OTLP protobuf and JSON, remote write, HEC) "
        f"| {BODIES:,} in {took_s:.1f} s, answered {answers} "
        f"| no answer of 5xx, no bug, {-(-BODIES // 50)} good bodies in between all stored",
    )


def learned(store: Store) -> list[dict[str, object]]:
    """All hours that are derived, with names in place of numbers."""
    store.roll_up()
    rows = pa.concat_tables(list(store.export("hours"))).to_pylist()
    return sorted(rows, key=repr)


def test_duplicates_in_any_order_change_nothing(make, record_property):
    rng = random.Random(5)
    bodies = [
        proto([of(f"w{name}x", rng.randrange(10**6), END_NS - number * 10 * SECOND_NS) for name in "abc"])
        for number in range(BODIES)
    ]
    (once, tidy), (often, messy) = make(), make()
    for body in bodies:
        tidy.submit(body, "otlp_proto", SOURCE, "test").result(30)
    sent = [body for body in bodies for _ in range(rng.randrange(1, 4))]
    rng.shuffle(sent)
    for at in range(0, len(sent), 40):
        futures = [messy.submit(body, "otlp_proto", SOURCE, "test") for body in sent[at : at + 40]]
        assert all(future.result(30).accepted == 3 for future in futures)

    assert often.totals() == once.totals() != {}
    assert messy.counts().dropped["duplicate"] == 3 * (len(sent) - len(bodies))
    assert learned(often) == learned(once)
    record_property(
        "figure",
        f"duplicated and reordered bodies | {len(bodies):,} bodies sent {len(sent):,} times in a random order "
        "| sums of every series and all derived hours equal those of one pass in order",
    )


def test_a_flood_of_new_series_starves_nobody_and_hides_no_byte(make, record_property):
    caps = Caps(series=SERIES // 2)
    guard = Guard(caps)
    store, intake = make(admit=guard.admit)
    start_ns = END_NS - 60 * SECOND_NS
    before, began, sent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), 0
    for at in range(0, SERIES, 1000):
        end_ns = start_ns + at * 60 * SECOND_NS // SERIES
        flood = [
            Point(value=3, labels=EDGE | {"dest.workload.name": f"d{at + one}.example.com"}, end_ns=end_ns)
            for one in range(1000)
        ]
        quiet = [of("quietw", 5, end_ns)]
        sent += 3 * len(flood) + 5
        for body in (proto(flood), proto(quiet)):
            assert not intake.submit(body, "otlp_proto", SOURCE, "test").result(60).rejected
    took_s, grown = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    totals = store.totals()
    assert sum(totals.values()) == sent
    assert 5.0 * (SERIES // 1000) in totals.values()
    assert guard.counts["folded_series"] > 0
    assert len(totals) <= caps.series * caps.share + SERIES // 1000 * 2
    record_property(
        "figure",
        "new series in a minute from one workload "
        f"| {SERIES:,} series stored in {took_s:.1f} s, {grown >> 10} MiB more memory "
        f"| 0 bytes lost: {len(totals):,} series kept, the rest folded; "
        f"all {SERIES // 1000} bodies of another workload stored under its own name",
    )
