"""Webhook: each change as JSON by POST, signed so that the receiver knows who sent it, and when.

Confirmed by any 2xx answer. The signature is `sha256=` and the hex HMAC-SHA256 of the timestamp header's text, a full
stop and the body as sent; a receiver compares it in constant time and refuses timestamps older than five minutes, so
that a recorded request cannot be played again. Private addresses are refused unless allowed: a webhook's URL is the
classic way into a network.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import ClassVar, Literal

from ebbtide.deliver.http import Client, HttpSettings
from ebbtide.deliver.message import to_object
from ebbtide.deliver.ocsf import to_event
from ebbtide.deliver.secret import Secret
from ebbtide.deliver.sink import Delivery, Sink
from ebbtide.series import SECOND_NS


class WebhookSettings(HttpSettings):
    """`url` gets the POST. `secret` signs it, `bearer` is sent as `Authorization: Bearer`; None leaves either out.

    `form` is what the body says: `ebbtide` the change with the whole finding, `ocsf` a Detection Finding.
    `allow_private` is false here, because these URLs come from elsewhere more often than a peer's in the cluster.
    """

    kind: ClassVar[str] = "webhook"

    type: Literal["webhook"]
    secret: Secret | None = None
    bearer: Secret | None = None
    form: Literal["ebbtide", "ocsf"] = "ebbtide"
    allow_private: bool = False

    @property
    def has_secret(self) -> bool:
        """A signature may travel in the open, a token may not."""
        return self.bearer is not None

    def open(self) -> Sink:
        """A sink that posts."""
        return Webhook(self, Client(self))


class Webhook:
    """Posts one change at a time."""

    def __init__(self, settings: WebhookSettings, client: Client) -> None:
        self._settings = settings
        self._client = client

    def send(self, delivery: Delivery, now_ns: int) -> None:
        """Post the change. Raises Retryable or Permanent."""
        form = to_event if self._settings.form == "ocsf" else to_object
        body = json.dumps(form(delivery), separators=(",", ":"), allow_nan=False).encode()
        self._client.deliver(body, self._headers(delivery, body, now_ns), now_ns)

    def close(self) -> None:
        """Nothing is kept open."""

    def _headers(self, delivery: Delivery, body: bytes, now_ns: int) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "X-Ebbtide-Delivery": delivery.id}
        settings = self._settings
        if settings.bearer is not None:
            headers["Authorization"] = f"Bearer {settings.bearer.get_secret_value()}"
        if settings.secret is not None:
            stamp = str(now_ns // SECOND_NS)
            headers["X-Ebbtide-Timestamp"] = stamp
            headers["X-Ebbtide-Signature"] = signature(settings.secret.get_secret_value(), stamp, body)
        return headers


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What `X-Ebbtide-Signature` says of a body sent at `timestamp` (Unix seconds as text)."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
