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
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ebbtide.deliver.http import Client, HttpSettings
from ebbtide.deliver.message import to_object
from ebbtide.deliver.ocsf import to_event
from ebbtide.deliver.secret import Secret
from ebbtide.deliver.sink import Delivery, Outcome, Sink
from ebbtide.deliver.together import side_by_side
from ebbtide.series import SECOND_NS


class WebhookSettings(HttpSettings):
    """`url` gets the POST. `secret` signs it, `bearer` is sent as `Authorization: Bearer`; None leaves either out.

    `form` is what the body says: `ebbtide` the change with the whole finding, `ocsf` a Detection Finding.
    `in_flight` is over how many connections deliveries go at once while several wait; the changes of one finding always
    go one after the other, with 1 all do. `allow_private` is false here, because these URLs come from elsewhere more
    often than a peer's in the cluster.
    """

    kind: ClassVar[str] = "webhook"

    type: Literal["webhook"]
    secret: Secret | None = None
    bearer: Secret | None = None
    form: Literal["ebbtide", "ocsf"] = "ebbtide"
    allow_private: bool = False
    in_flight: Annotated[int, Field(ge=1, le=16)] = 4

    @property
    def has_secret(self) -> bool:
        """A signature may travel in the open, a token may not."""
        return self.bearer is not None

    def open(self) -> Sink:
        """A sink that posts."""
        return Webhook(self, [Client(self) for _ in range(self.in_flight)])


class Webhook:
    """Posts one change a request; while several wait, over several connections."""

    def __init__(self, settings: WebhookSettings, clients: Sequence[Client]) -> None:
        self._settings = settings
        self._clients = clients

    def send(self, delivery: Delivery, now_ns: int) -> None:
        """Post the change. Raises Retryable or Permanent."""
        self._post(self._clients[0], now_ns, delivery)

    def send_together(self, deliveries: Sequence[Delivery], now_ns: int) -> list[Outcome]:
        """Post the changes; connections stay open until all are answered."""
        with ExitStack() as open_lines:
            for client in self._clients:
                open_lines.enter_context(client.kept())
            return side_by_side(deliveries, [partial(self._post, client, now_ns) for client in self._clients])

    def _post(self, client: Client, now_ns: int, delivery: Delivery) -> None:
        form = to_event if self._settings.form == "ocsf" else to_object
        body = json.dumps(form(delivery), separators=(",", ":"), allow_nan=False).encode()
        client.deliver(body, self._headers(delivery, body, now_ns), now_ns)

    def close(self) -> None:
        """Nothing is open between calls."""

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
