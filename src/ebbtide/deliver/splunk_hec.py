"""Splunk: each finding that opens or re-opens as a risk event through the HTTP Event Collector.

Confirmed by the collector's code 0. Field names are those that the risk framework of Splunk Enterprise Security reads,
so that its rules ("risk above 100 within 24 hours") work on these as on its own. Risk is added once per opening; other
changes, where `changes` asks for them, carry a score of 0.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar, Literal

from ebbtide.deliver.http import Client, HttpSettings, Reply
from ebbtide.deliver.secret import Secret
from ebbtide.deliver.sink import Delivery, Outcome, Permanent, Retryable, Sink
from ebbtide.deliver.together import RefusedFrom, in_lists
from ebbtide.deliver.wording import severity
from ebbtide.finding.annotations import Annotations
from ebbtide.finding.finding import Finding
from ebbtide.finding.lifecycle import Change
from ebbtide.finding.text import one_line
from ebbtide.series import SECOND_NS

#: Codes of the collector that speak of the event itself: no data, invalid format, no event, blank event, fields.
_REFUSED = frozenset({5, 6, 12, 13, 15})
#: Heartbeats are no risk events, so they are not of the risk events' sourcetype.
HEARTBEAT_SOURCETYPE = "ebbtide:heartbeat"
_ADDS_RISK = (Change.OPENED, Change.REOPENED)


class SplunkHecSettings(HttpSettings):
    """`url` is the collector's (`/services/collector/event` is added), `token` its token.

    `index` is where Enterprise Security keeps risk; the token must be allowed to write there.
    """

    kind: ClassVar[str] = "splunk_hec"

    type: Literal["splunk_hec"]
    token: Secret
    index: str = "risk"
    sourcetype: str = "ebbtide:risk"
    changes: tuple[Change, ...] = _ADDS_RISK

    @property
    def has_secret(self) -> bool:
        """The token."""
        return True

    def open(self) -> Sink:
        """A sink that posts events."""
        return SplunkHec(self, Client(self, path="/services/collector/event"))


class SplunkHec:
    """Posts events; while several findings wait, one after the other in one body."""

    def __init__(self, settings: SplunkHecSettings, client: Client) -> None:
        self._settings = settings
        self._client = client

    def send(self, delivery: Delivery, now_ns: int) -> None:
        """Post the event. Raises Retryable or Permanent."""
        self._post([delivery], now_ns)

    def send_together(self, deliveries: Sequence[Delivery], now_ns: int) -> list[Outcome]:
        """Post the events in as few bodies as hold each finding once."""
        with self._client.kept():
            return in_lists(deliveries, lambda part: self._post(part, now_ns))

    def _envelope(self, delivery: Delivery) -> dict[str, object]:
        return {
            "time": delivery.at_ns / SECOND_NS,
            "host": one_line(delivery.finding.entity.cluster) or "ebbtide",
            "source": search_name(delivery.finding),
            "sourcetype": HEARTBEAT_SOURCETYPE if delivery.is_heartbeat else self._settings.sourcetype,
            "index": self._settings.index,
            "event": heartbeat_event(delivery) if delivery.is_heartbeat else risk_event(delivery),
        }

    def _post(self, deliveries: Sequence[Delivery], now_ns: int) -> None:
        settings = self._settings
        body = "\n".join(json.dumps(self._envelope(one)) for one in deliveries).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Splunk {settings.token.get_secret_value()}"}
        reply = self._client.post(body, headers, now_ns)
        code = _number(reply, "code")
        if reply.is_good and code == 0:
            return
        text = f"{settings.target} answered {reply.status}, code {code}"
        if code in _REFUSED or reply.status == 413:
            place = _number(reply, "invalid-event-number")
            if place is not None and place < len(deliveries):
                raise RefusedFrom(text, place)
            raise Permanent(text)
        hint = "is the token allowed to write to this index?" if code == 7 else ""
        raise Retryable(text, retry_after_s=reply.retry_after_s, hint=hint)

    def close(self) -> None:
        """Nothing is open between calls."""


def _number(reply: Reply, name: str) -> int | None:
    """A number of the collector's answer, 0 or more; None where it has none of that name."""
    try:
        number = json.loads(reply.body)[name]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return number if isinstance(number, int) and number >= 0 else None


def search_name(finding: Finding) -> str:
    """What stands for the correlation search: `Ebbtide - <name> - Rule`, as content packs name theirs."""
    return f"Ebbtide - {one_line(finding.detection_name)} - Rule"


def risk_event(delivery: Delivery) -> dict[str, object]:
    """The fields of the risk event. `orig_*` lead back to the finding; a row as upstream gives it adds its fields."""
    finding, entity = delivery.finding, delivery.finding.entity
    score = finding.risk.score if delivery.change in _ADDS_RISK and not delivery.is_test else 0.0
    event: dict[str, object] = {
        "search_name": search_name(finding),
        "risk_object": finding.risk.object,
        "risk_object_type": finding.risk.object_type,
        "risk_score": int(score) if score == int(score) else score,
        "risk_message": finding.message,
        "severity": severity(finding.risk.score),
        "analyticstories": list(finding.annotations.story),
        **_annotations(finding.annotations),
        "orig_sid": finding.uid,
        "orig_rid": delivery.id,
        "orig_time": finding.opened_ns / SECOND_NS,
        "orig_source": finding.detection_id,
        "change": delivery.change.value,
        "headline": finding.headline,
        "cluster": entity.cluster,
        "namespace": entity.namespace,
        "workload": entity.workload,
        "process": entity.process,
        "count": finding.count,
        "threat_object": [one.name for one in finding.evidence.destinations if one.first_seen_ns is None],
        "link": delivery.link,
        "test": delivery.is_test,
    }
    return (finding.upstream.as_fields() if finding.upstream else {}) | event


def heartbeat_event(delivery: Delivery) -> dict[str, object]:
    """The fields of a heartbeat: none that the risk framework reads."""
    said = {"change": delivery.word, "message": delivery.finding.headline, "orig_rid": delivery.id}
    return {**said, **delivery.finding.evidence.options}


def _annotations(said: Annotations) -> dict[str, object]:
    fields: dict[str, list[str]] = {
        "mitre_attack": [one.id for one in said.mitre_attack],
        "mitre_attack.mitre_tactic": list(said.tactics),
        "kill_chain_phases": list(said.kill_chain),
        "nist": list(said.nist),
        "cis20": list(said.cis20),
        "cve": list(said.cve),
        "analytic_story": list(said.story),
        "type": [said.type],
    }
    return {f"annotations.{name}": values for name, values in fields.items()}
