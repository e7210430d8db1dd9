"""OTLP logs: each change as one log record to a collector's OTLP/HTTP receiver, as JSON.

Confirmed by a 2xx answer that rejects no record. Source: opentelemetry.io, OTLP 1.x, JSON encoding (64-bit numbers are
strings) and the logs data model's severity numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import field_validator

from ebbtide import __version__
from ebbtide.deliver.http import Client, HttpSettings
from ebbtide.deliver.secret import Secret
from ebbtide.deliver.sink import Delivery, Outcome, Permanent, Sink
from ebbtide.deliver.together import in_lists
from ebbtide.deliver.wording import severity, tokens_of

#: INFO, INFO2, WARN, ERROR, FATAL of the data model.
_SEVERITY = {"informational": 9, "low": 10, "medium": 13, "high": 17, "critical": 21}
_WORDS = ("detection_id", "workload", "risk_object", "opened", "last", "destinations", "techniques", "link", "message")


class OtlpLogsSettings(HttpSettings):
    """`url` is the receiver's (`/v1/logs` is added). `headers` are sent with each request; their values are secrets."""

    kind: ClassVar[str] = "otlp_logs"

    type: Literal["otlp_logs"]
    headers: Mapping[str, Secret] = {}

    @field_validator("headers")
    @classmethod
    def _are_names(cls, headers: Mapping[str, Secret]) -> Mapping[str, Secret]:
        for name in headers:
            if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
                raise ValueError(f"{name!r} is no header name: letters, digits, - and _")
        return headers

    @property
    def has_secret(self) -> bool:
        """Whether a header is sent."""
        return bool(self.headers)

    def open(self) -> Sink:
        """A sink that exports log records."""
        return OtlpLogs(self, Client(self, path="/v1/logs"))


class OtlpLogs:
    """Exports records; while several findings wait, in one request."""

    def __init__(self, settings: OtlpLogsSettings, client: Client) -> None:
        self._headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        self._client = client

    def send(self, delivery: Delivery, now_ns: int) -> None:
        """Export the record. Raises Retryable or Permanent."""
        self._post([delivery], now_ns)

    def send_together(self, deliveries: Sequence[Delivery], now_ns: int) -> list[Outcome]:
        """Export the records in as few requests as hold each finding once."""
        with self._client.kept():
            return in_lists(deliveries, lambda part: self._post(part, now_ns))

    def _post(self, deliveries: Sequence[Delivery], now_ns: int) -> None:
        body = json.dumps(request_of(deliveries, now_ns)).encode()
        reply = self._client.deliver(body, {**self._headers, "Content-Type": "application/json"}, now_ns)
        if rejected(reply.body):
            raise Permanent("the collector rejected the log record (partial success)")

    def close(self) -> None:
        """Nothing is open between calls."""


def request_of(deliveries: Sequence[Delivery], now_ns: int) -> dict[str, object]:
    """An ExportLogsServiceRequest with a record for each delivery."""
    scope = {"name": "ebbtide.deliver", "version": __version__}
    resource = {"attributes": [_text("service.name", "ebbtide"), _text("service.version", __version__)]}
    records = [_record(one, now_ns) for one in deliveries]
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": records}]}]}


def _record(delivery: Delivery, now_ns: int) -> dict[str, object]:
    words = tokens_of(delivery)
    return {
        "timeUnixNano": str(delivery.at_ns),
        "observedTimeUnixNano": str(now_ns),
        "severityNumber": _SEVERITY[severity(delivery.finding.risk.score)],
        "severityText": words["severity"],
        "eventName": f"ebbtide.{delivery.word}" if delivery.is_heartbeat else f"ebbtide.finding.{delivery.word}",
        "body": {"stringValue": words["test"] + words["headline"]},
        "attributes": _heartbeat(delivery) if delivery.is_heartbeat else _attributes(delivery, words),
    }


def _heartbeat(delivery: Delivery) -> list[dict[str, object]]:
    said = {"delivery.id": delivery.id, "change": delivery.word, **delivery.finding.evidence.options}
    return [_text(f"ebbtide.{name}", str(value)) for name, value in said.items()]


def _attributes(delivery: Delivery, words: Mapping[str, str]) -> list[dict[str, object]]:
    finding = delivery.finding
    texts = {
        "ebbtide.delivery.id": delivery.id,
        "ebbtide.finding.uid": finding.uid,
        "ebbtide.change": delivery.change.value,
        **{f"ebbtide.{name}": words[name] for name in _WORDS if words[name] not in ("", "-")},
    }
    known = {"k8s.cluster.name": "cluster", "k8s.namespace.name": "namespace", "process.executable.name": "process"}
    texts |= {key: words[name] for key, name in known.items() if words[name] != "-"}
    attributes = [_text(key, value) for key, value in texts.items()]
    attributes.append({"key": "ebbtide.risk_score", "value": {"doubleValue": finding.risk.score}})
    attributes.append({"key": "ebbtide.count", "value": {"intValue": str(finding.count)}})
    attributes.append({"key": "ebbtide.test", "value": {"boolValue": delivery.is_test}})
    return attributes


def _text(key: str, value: str) -> dict[str, object]:
    return {"key": key, "value": {"stringValue": value}}


def rejected(body: bytes) -> int:
    """How many records an answer says were rejected; 0 where it does not say.

    >>> rejected(b'{"partialSuccess": {"rejectedLogRecords": "1"}}'), rejected(b"")
    (1, 0)
    """
    try:
        return int(json.loads(body)["partialSuccess"]["rejectedLogRecords"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0
