"""Heartbeats: what a sink is sent in quiet times too, so that whoever receives it knows that its path works.

A heartbeat is a notice of its own kind without risk. It goes the way findings go (outbox, courier, retries), is marked
as `heartbeat` in each form, and is none of an episode's changes: `changes` and filters do not concern it. Without it a
receiver could not tell that nothing was found from that nothing arrives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from ebbtide.deliver.message import to_object
from ebbtide.deliver.sink import Delivery, SinkSettings
from ebbtide.finding.finding import Finding
from ebbtide.finding.lifecycle import Change
from ebbtide.finding.notice import HEARTBEAT, notice
from ebbtide.finding.risk import Risk
from ebbtide.finding.text import duration_text
from ebbtide.series import SECOND_NS, Entity
from ebbtide.store.outbox import Bounds, Message, Outbox


def heartbeat(sink: str, every_ns: int, at_ns: int) -> Finding:
    """The heartbeat of a sink that is sent one each `every_ns`."""
    text = f"Ebbtide runs, and what it sends to {sink} arrives: one heartbeat every {duration_text(every_ns)}"
    said = {"sink": sink, "every_s": every_ns // SECOND_NS}
    risk = Risk(0.0, 0.0, 0.0, "ebbtide", "system")
    return notice(HEARTBEAT, sink, Entity("", "", ""), at_ns, at_ns, text, risk, details=said)


def queue_heartbeats(
    outbox: Outbox, sinks: Mapping[str, SinkSettings], at_ns: int, bounds: Bounds | None = None
) -> list[str]:
    """Queue a heartbeat for every sink that is due for one; their names. Called inside a transaction.

    One that still waits is replaced: what counts is that the latest arrives. A clock that was set back makes it due.
    """
    due = []
    for name, settings in sinks.items():
        if settings.heartbeat is None:
            continue
        queued_ns = outbox.heartbeat(name).queued_ns
        if 0 < queued_ns <= at_ns < queued_ns + settings.heartbeat:
            continue
        found = heartbeat(name, settings.heartbeat, at_ns)
        document = json.dumps(to_object(Delivery("", Change.OPENED, found, at_ns)), separators=(",", ":"))
        outbox.beat(Message(found.uid, HEARTBEAT.id, at_ns, document), name, bounds)
        due.append(name)
    return due
