"""Alertmanager: each finding as one alert of API v2, firing while the episode is open, resolved when it is closed.

Confirmed by a 2xx answer. An alert is known by its labels, so these never change within an episode; what may (risk,
severity, numbers) stands in annotations. A firing alert says when it ends by itself: if Ebbtide dies, alerts resolve
after `hold` instead of firing for ever. Source: prometheus.io/docs/alerting/latest/alerts_api.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from ebbtide.deliver.http import Client, HttpSettings
from ebbtide.deliver.secret import Secret
from ebbtide.deliver.sink import Delivery, Outcome, Sink
from ebbtide.deliver.together import in_lists
from ebbtide.deliver.wording import tokens_of
from ebbtide.detect.detection import Duration
from ebbtide.finding.lifecycle import CLOSE_AFTER_NS, Change
from ebbtide.finding.text import one_line, rfc3339
from ebbtide.series import HOUR_NS, SECOND_NS

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
#: Labels that are ours; a setting may not take their place.
_OWN = ("alertname", "detection", "cluster", "namespace", "workload", "process", "finding")
_ANNOTATIONS = ("severity", "risk_score", "destinations", "techniques", "tactics", "opened", "last", "count")


class AlertmanagerSettings(HttpSettings):
    """`url` is Alertmanager's own (`/api/v2/alerts` is added); `bearer` goes into `Authorization`.

    `labels` are added to every alert, to route by. `hold` is how long an alert fires on after the time at which its
    episode would end: it covers a service that is down while the episode closes.
    """

    kind: ClassVar[str] = "alertmanager"

    type: Literal["alertmanager"]
    bearer: Secret | None = None
    labels: Mapping[str, str] = {}
    hold: Annotated[Duration, Field(gt=0)] = HOUR_NS

    @field_validator("labels")
    @classmethod
    def _are_labels(cls, labels: Mapping[str, str]) -> Mapping[str, str]:
        for name in labels:
            if not _NAME.fullmatch(name) or name.startswith("__"):
                raise ValueError(f"{name!r} is no label name: letters, digits and _")
            if name in _OWN:
                raise ValueError(f"the label {name!r} is set by Ebbtide; give yours another name")
        return labels

    @property
    def has_secret(self) -> bool:
        """Whether a token is sent."""
        return self.bearer is not None

    def open(self) -> Sink:
        """A sink that posts alerts."""
        return Alertmanager(self, Client(self, path="/api/v2/alerts"))


class Alertmanager:
    """Posts alerts; while several findings wait, as one list."""

    def __init__(self, settings: AlertmanagerSettings, client: Client) -> None:
        self._settings = settings
        self._client = client

    def send(self, delivery: Delivery, now_ns: int) -> None:
        """Post the alert. Raises Retryable or Permanent."""
        self._post([delivery], now_ns)

    def send_together(self, deliveries: Sequence[Delivery], now_ns: int) -> list[Outcome]:
        """Post the alerts in lists that hold each finding once."""
        with self._client.kept():
            return in_lists(deliveries, lambda part: self._post(part, now_ns))

    def _post(self, deliveries: Sequence[Delivery], now_ns: int) -> None:
        headers = {"Content-Type": "application/json"}
        if self._settings.bearer is not None:
            headers["Authorization"] = f"Bearer {self._settings.bearer.get_secret_value()}"
        alerts = [alert_of(one, now_ns, self._settings.labels, self._settings.hold) for one in deliveries]
        self._client.deliver(json.dumps(alerts).encode(), headers, now_ns)

    def close(self) -> None:
        """Nothing is open between calls."""


def alert_of(delivery: Delivery, now_ns: int, labels: Mapping[str, str], hold_ns: int) -> dict[str, object]:
    """The alert as JSON-ready dictionaries.

    A firing one ends `hold_ns` after its episode would if nothing more came, and not before `hold_ns` from now; a
    resolved one ended when its episode did, which is never in the future. A heartbeat is an alert of its own.
    """
    if delivery.is_heartbeat:
        return _heartbeat(delivery, now_ns, labels, hold_ns)
    finding, words = delivery.finding, tokens_of(delivery)
    if delivery.change is Change.CLOSED:
        closed_ns = now_ns if delivery.closed_ns is None else delivery.closed_ns
        ends_ns = max(min(closed_ns, now_ns), finding.opened_ns)
    else:
        ends_ns = max(finding.end_ns + CLOSE_AFTER_NS, now_ns) + hold_ns
    entity = finding.entity
    own = {
        "alertname": finding.detection_name,
        "detection": finding.detection_id,
        "cluster": entity.cluster,
        "namespace": entity.namespace,
        "workload": entity.workload,
        "process": entity.process,
        "finding": finding.uid,
    }
    notes = {"summary": words["test"] + words["headline"], "description": words["message"]}
    notes |= {name: words[name] for name in _ANNOTATIONS}
    alert: dict[str, object] = {
        "labels": {name: one_line(value, 300) for name, value in {**labels, **own}.items() if value},
        "annotations": notes,
        "startsAt": rfc3339(finding.opened_ns),
        "endsAt": rfc3339(ends_ns),
    }
    return alert | ({"generatorURL": delivery.link} if delivery.link else {})


def _heartbeat(delivery: Delivery, now_ns: int, labels: Mapping[str, str], hold_ns: int) -> dict[str, object]:
    """An alert that fires as long as heartbeats come: each lasts until the next is due, and `hold_ns` more."""
    finding, said = delivery.finding, delivery.finding.evidence.options
    own = {"alertname": finding.detection_name, "detection": finding.detection_id, "sink": str(said["sink"])}
    return {
        "labels": {name: one_line(value, 300) for name, value in {**labels, **own}.items() if value},
        "annotations": {"summary": finding.headline, "severity": "informational"},
        "startsAt": rfc3339(finding.opened_ns),
        "endsAt": rfc3339(now_ns + int(str(said["every_s"])) * SECOND_NS + hold_ns),
    }
