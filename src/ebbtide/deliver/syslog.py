"""Syslog: each change as one RFC 5424 message over TLS (RFC 5425), TCP (RFC 6587, octet counting) or UDP (RFC 5426).

TLS and TCP: confirmed when the peer has read to the end and closes, so a message that the peer's kernel took but its
process never read is sent again. UDP is never confirmed: what is lost on the way is lost.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from ebbtide.deliver.address import Resolve, dialled, system_resolve
from ebbtide.deliver.deadline import dial, left_s
from ebbtide.deliver.sink import Delivery, Retryable, Sink, SinkSettings
from ebbtide.deliver.tls import Tls, refused
from ebbtide.deliver.wording import Format, check_template, render, severity, tokens_of
from ebbtide.finding.text import one_line, rfc3339

_FACILITIES = {"user": 1, "auth": 4, "audit": 13, "alert": 14} | {f"local{n}": 16 + n for n in range(8)}
#: Syslog's own numbers: informational 6, notice 5, warning 4, error 3, critical 2.
_SEVERITY = {"informational": 6, "low": 5, "medium": 4, "high": 3, "critical": 2}
_PORTS = {"udp": 514, "tcp": 601, "tls": 6514}
#: What every receiver should take in a datagram (RFC 5424, 6.1); longer messages lose their end.
LARGEST_DATAGRAM_BYTES = 2048
_NOT_PRINTABLE = re.compile(r"[^\x21-\x7e]")
_DATA = (
    "uid", "change", "detection_id", "cluster", "namespace", "workload", "process", "severity", "risk_score",
    "risk_object", "techniques", "opened", "last", "count", "link",
)  # fmt: skip


class SyslogSettings(SinkSettings):
    """`host` and `port` (None: 6514 for tls, 601 for tcp, 514 for udp) of the receiver.

    `hostname` is what the message says of its origin; None: this machine's name. `enterprise` is the private
    enterprise number behind the name of the structured data; 32473 is IANA's for examples, give your own if you have
    one. `template` is the message's text.
    """

    kind: ClassVar[str] = "syslog"

    type: Literal["syslog"]
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    protocol: Literal["udp", "tcp", "tls"] = "tls"
    facility: str = "audit"
    hostname: str | None = None
    enterprise: Annotated[int, Field(ge=1)] = 32473
    template: Annotated[str, AfterValidator(check_template)] = "$test$$headline$"
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    allow_private: bool = True
    tls: Tls = Tls()

    @field_validator("facility")
    @classmethod
    def _is_facility(cls, name: str) -> str:
        if name not in _FACILITIES:
            raise ValueError(f"{name!r} is no facility; known are {', '.join(_FACILITIES)}")
        return name

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.tls != Tls() and self.protocol != "tls":
            raise ValueError(f"`tls` is set, but the protocol is {self.protocol}; say `protocol: tls`")
        return self

    @property
    def target(self) -> str:
        """Protocol, host and port."""
        return f"{self.protocol}://{self.host}:{self.port or _PORTS[self.protocol]}"

    def open(self) -> Sink:
        """A sink that sends messages."""
        return Syslog(self)


class Syslog:
    """Sends one message at a time; over TCP and TLS each has a connection of its own, whose end confirms it."""

    def __init__(self, settings: SyslogSettings, *, resolve: Resolve = system_resolve) -> None:
        self._settings = settings
        self._hostname = settings.hostname or socket.gethostname()
        self._context = settings.tls.context() if settings.protocol == "tls" else None
        self._resolve = resolve

    def send(self, delivery: Delivery, now_ns: int) -> None:  # noqa: ARG002  (the message holds the change's own time)
        """Send the message. Raises Retryable."""
        settings = self._settings
        body = message(delivery, settings, self._hostname)
        port = settings.port or _PORTS[settings.protocol]
        address = dialled(settings.host, port, allow_private=settings.allow_private, resolve=self._resolve)
        try:
            if settings.protocol == "udp":
                _send_datagram(address, port, body)
            else:
                self._send_stream(address, port, body)
        except ssl.SSLError as error:
            raise refused(settings.target, error) from None
        except TimeoutError:
            hint = "does it speak octet counting (RFC 6587), and does it close when we do?"
            text = f"{settings.target} did not take the message within {settings.timeout_s:g} s"
            raise Retryable(text, hint=hint) from None
        except OSError as error:
            raise Retryable(f"{settings.target}: {one_line(error.strerror or str(error))}") from None

    def close(self) -> None:
        """Nothing is kept open."""

    def _send_stream(self, address: str, port: int, body: bytes) -> None:
        deadline = time.monotonic() + self._settings.timeout_s
        frame = str(len(body)).encode() + b" " + body
        with dial(address, port, self._settings.host, self._context, deadline) as sock:
            sock.settimeout(left_s(deadline))
            sock.sendall(frame)
            if isinstance(sock, ssl.SSLSocket):
                sock.settimeout(left_s(deadline))
                sock.unwrap().close()  # returns when the peer has said goodbye too
            else:
                sock.shutdown(socket.SHUT_WR)
                _read_to_end(sock, deadline)


def _read_to_end(sock: socket.socket, deadline: float) -> None:
    """Wait for the peer's end; what it says before is not looked at."""
    while True:
        sock.settimeout(left_s(deadline))
        if not sock.recv(4096):
            return


def _send_datagram(address: str, port: int, body: bytes) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.sendto(whole_characters(body, LARGEST_DATAGRAM_BYTES), (address, port))


def whole_characters(body: bytes, most: int) -> bytes:
    """At most so many bytes of UTF-8, without half a character at the end."""
    return body if len(body) <= most else body[:most].decode("utf-8", "ignore").encode()


def message(delivery: Delivery, settings: SyslogSettings, hostname: str) -> bytes:
    """The message in UTF-8, without framing: header, structured data, text."""
    level = _FACILITIES[settings.facility] * 8 + _SEVERITY[severity(delivery.finding.risk.score)]
    # Syslog knows microseconds at most (RFC 5424, 6.2.3).
    stamp = rfc3339(delivery.at_ns // 1000 * 1000)
    head = f"<{level}>1 {stamp} {_header(hostname, 255)} ebbtide - {_header(delivery.word, 32)}"
    text = one_line(render(settings.template, delivery, Format.TEXT), 4000)
    return f"{head} {structured_data(delivery, settings.enterprise)} {text}".encode("utf-8", "replace")


def _header(text: str, longest: int) -> str:
    """A header field: printable ASCII without blanks, `-` where nothing is left."""
    return _NOT_PRINTABLE.sub("_", text)[:longest] or "-"


def structured_data(delivery: Delivery, enterprise: int) -> str:
    """One element with what a receiver may want to search by."""
    words = tokens_of(delivery)
    fields = [f'{name}="{escaped(one_line(words[name], 300))}"' for name in _DATA if words[name]]
    return f"[ebbtide@{enterprise} {' '.join(fields)}]"


def escaped(value: str) -> str:
    r"""A parameter's value as RFC 5424, 6.3.3 wants it.

    >>> print(escaped('a"b]c' + chr(92)))
    a\"b\]c\\
    """
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
