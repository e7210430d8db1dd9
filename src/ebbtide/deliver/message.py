"""A delivery as JSON and back: what waits in the outbox, and what a webhook or a file of lines is told.

Schema version 1, fixed order of keys; the finding inside is the one form findings have everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from ebbtide.deliver.sink import Delivery, SinkSettings
from ebbtide.errors import DataError
from ebbtide.finding import form
from ebbtide.finding.lifecycle import Change, Episode
from ebbtide.finding.notice import HEARTBEAT
from ebbtide.finding.text import parse_rfc3339, rfc3339
from ebbtide.store.outbox import Bounds, Message, Outbox, Row

SCHEMA_VERSION = 1


def to_object(delivery: Delivery) -> dict[str, object]:
    """The delivery as JSON-ready dictionaries and lists."""
    return {
        "schema": SCHEMA_VERSION,
        "id": delivery.id,
        "change": delivery.word,
        "at": rfc3339(delivery.at_ns),
        "closed": None if delivery.closed_ns is None else rfc3339(delivery.closed_ns),
        "reopened": delivery.reopened,
        "link": delivery.link,
        "test": delivery.is_test,
        "finding": form.to_object(delivery.finding),
    }


def queue(
    outbox: Outbox,
    changes: Iterable[tuple[Change, Episode]],
    sinks: Mapping[str, SinkSettings],
    at_ns: int,
    link: str = "",
    bounds: Bounds | None = None,
) -> None:
    """Queue an evaluation's changes for every sink that wants them, in order; hidden findings for none.

    Called inside the transaction that stores the findings: both are kept, or neither. `link` is the page of a finding
    with `{uid}` where its uid goes.
    """
    told = [(change, _message(change, one, at_ns, link)) for change, one in changes if not one.finding.is_hidden]
    for name, settings in sinks.items():
        outbox.write((message for change, message in told if change in settings.changes), name, bounds)


def _message(change: Change, episode: Episode, at_ns: int, link: str) -> Message:
    page = link.replace("{uid}", episode.finding.uid)
    delivery = Delivery("", change, episode.finding, at_ns, episode.closed_ns, episode.reopened, page)
    text = json.dumps(to_object(delivery), separators=(",", ":"), allow_nan=False)
    return Message(episode.finding.uid, change.value, at_ns, text)


def delivery_of(row: Row) -> Delivery:
    """The delivery a row of the outbox holds. Raises DataError where it holds none."""
    try:
        found = json.loads(row.document)
        if found["schema"] != SCHEMA_VERSION:
            raise ValueError(f"schema {found['schema']}")
        return Delivery(
            f"{row.uid}/{row.number}",
            Change.OPENED if found["change"] == HEARTBEAT.id else Change(found["change"]),
            form.from_json(json.dumps(found["finding"])),
            parse_rfc3339(found["at"]),
            None if found["closed"] is None else parse_rfc3339(found["closed"]),
            int(found["reopened"]),
            str(found["link"]),
            bool(found["test"]),
        )
    except (ValueError, KeyError, TypeError, DataError) as error:
        raise DataError(f"row {row.number} of the outbox holds no delivery: {error}") from error
