"""Write a simulated cluster: OTLP into a file or to a receiver, its truth beside it, or straight into a store.

The thin, impure end of the simulator: everything that is written is made by the pure files, hour by hour, in bounded
memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from ebbtide.errors import ServiceError, UsageError
from ebbtide.lab.cluster_inject import Event, Injection
from ebbtide.lab.cluster_otlp import injected_points, joined, within
from ebbtide.lab.simulate_batch import Batcher
from ebbtide.lab.simulate_otlp import Encoder, JsonLines, Protobuf, bodies
from ebbtide.lab.simulate_plan import INTERVAL_S, SIMULATOR_VERSION, Plan
from ebbtide.lab.simulate_series import VIEWS, Labeller, Points
from ebbtide.lab.simulate_traffic import Simulation
from ebbtide.series import SECOND_NS
from ebbtide.store.store import Store

#: Bodies end with a line in JSON, and are preceded by their size in protobuf, as the collector's file exporter does.
_SIZE_BYTES = 4
_RETRIES, _FIRST_WAIT_S = 6, 0.5
_TRY_AGAIN = (429, 502, 503, 504)


def stream(
    simulation: Simulation,
    views: tuple[str, ...] = VIEWS[:1],
    injections: Sequence[Injection] = (),
    between: tuple[int, int] | None = None,
) -> Iterator[Points]:
    """Every piece's points, injected ones among them; of the intervals `between` [first, last), None: all."""
    plan = simulation.plan
    labeller = Labeller(simulation, views)
    planted = [injected_points(plan, one) for one in injections]
    for first, last in simulation.pieces(between):
        parts = [labeller.points(simulation.flows(first, last)), *(within(one, first, last) for one in planted)]
        yield joined(part for part in parts if len(part)) if any(map(len, parts)) else parts[0]


def truth(plan: Plan, events: Sequence[Event] = ()) -> dict[str, object]:
    """What was simulated and what happened in it, as JSON: parameters, benign events, injected attacks."""
    return {
        "simulator_version": SIMULATOR_VERSION,
        "parameters": dataclasses.asdict(plan.parameters),
        "entities": [str(entity) for entity in plan.entities()],
        "benign": [
            {
                "kind": event.kind,
                "subject": event.subject,
                "from_ns": event.first * INTERVAL_S * SECOND_NS,
                "to_ns": event.last * INTERVAL_S * SECOND_NS,
                "detail": event.detail,
            }
            for event in sorted(plan.events, key=lambda one: (one.first, one.kind, one.subject))
        ],
        "attacks": [event_object(event) for event in events],
    }


def event_object(event: Event) -> dict[str, object]:
    """A label as JSON; entities as `cluster/namespace/workload/process`."""
    return dataclasses.asdict(event) | {"entity": str(event.entity), "sender": str(event.sender)}


def write_file(
    points: Iterator[Points], path: Path, cluster: str = "", advance: Callable[[], None] = lambda: None
) -> int:
    """Write OTLP bodies to a file that `ebbtide import` reads; how many points.

    The name decides: `.jsonl` or `.json` is JSON lines, `.binpb` or `.pb` protobuf with sizes, `.zst` after it packs.
    `cluster` is what a gateway adds to the resource, "" for the bare reducer. Raises UsageError for another name.
    """
    name = path.name.removesuffix(".zst")
    if not name.endswith((".jsonl", ".json", ".binpb", ".pb")):
        raise UsageError(f"what is {path.name}?", hint="end it in .jsonl or .binpb, and .zst to compress")
    is_json = name.endswith((".jsonl", ".json"))
    encoder: Encoder = JsonLines(cluster) if is_json else Protobuf(cluster)
    written = 0
    with _opened(path) as file:
        for piece in points:
            written += len(piece)
            for body in bodies(piece, encoder):
                file.write(body + b"\n" if is_json else len(body).to_bytes(_SIZE_BYTES, "big") + body)
            advance()
    return written


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("wb") as file:
        if not path.name.endswith(".zst"):
            yield file
            return
        with zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False) as packed:
            yield cast(BinaryIO, packed)


def send(points: Iterator[Points], url: str, cluster: str = "", advance: Callable[[], None] = lambda: None) -> int:
    """POST every body to an OTLP/HTTP receiver (`url` without /v1/metrics); how many points.

    A receiver that is busy or away is asked again, at growing intervals. Raises ServiceError when it stays away or
    refuses, UsageError for a URL that is not http or https.
    """
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url!r} is no receiver", hint="such as http://127.0.0.1:4318")
    encoder, sent = Protobuf(cluster), 0
    for piece in points:
        sent += len(piece)
        for body in bodies(piece, encoder):
            _post(url.rstrip("/") + "/v1/metrics", body, encoder.content_type)
        advance()
    return sent


def _post(url: str, body: bytes, content_type: str) -> None:
    request = urllib.request.Request(url, body, {"Content-Type": content_type})  # noqa: S310 checked in `send`
    wait_s, reason = _FIRST_WAIT_S, ""
    for attempt in range(_RETRIES):
        if attempt:
            time.sleep(wait_s)
            wait_s *= 2
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 checked in `send`
                answer.read()
                return
        except urllib.error.HTTPError as error:
            reason = f"status {error.code}"
            error.close()
            if error.code not in _TRY_AGAIN:
                break
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = str(error)
    raise ServiceError(f"{url} did not take a body of {len(body)} bytes: {reason}", hint="is the receiver there?")


def fill(
    store: Store,
    simulation: Simulation,
    advance: Callable[[], None] = lambda: None,
    between: tuple[int, int] | None = None,
) -> int:
    """Put the traffic into a store without encoding it: what importing its OTLP would store. How many samples."""
    plan = simulation.plan
    batcher = Batcher(plan.parameters.cluster)
    origin = store.begin("simulate", f"version {SIMULATOR_VERSION}, seed {plan.parameters.seed}")
    stored = 0
    for piece in stream(simulation, between=between):
        if len(piece):
            stored += store.append(batcher.batch(piece), origin).stored
        advance()
    store.roll_up()
    return stored
