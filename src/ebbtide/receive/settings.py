"""What an operator may say about receivers: listeners, who may send, how much and how long.

In comes a mapping from the configuration file, out go frozen models. Unknown keys are refused. Sizes are written
`64MiB`, durations `10s`; both may be plain numbers of bytes and seconds.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from ebbtide.decode.preset import preset_names
from ebbtide.document import suggest

Kind = Literal["otlp_grpc", "otlp_http", "hec", "remote_write"]
KINDS: Final[tuple[Kind, ...]] = ("otlp_grpc", "otlp_http", "hec", "remote_write")
INGEST: Final = "ingest"

_SIZES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _size(value: object) -> object:
    match = re.fullmatch(r"(\d+)\s*(B|KiB|MiB|GiB)", value) if isinstance(value, str) else None
    return int(match[1]) * _SIZES[match[2]] if match else value


def _duration(value: object) -> object:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value) if isinstance(value, str) else None
    return float(match[1]) * _SECONDS[match[2]] if match else value


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


Size = Annotated[int, BeforeValidator(_size), Field(gt=0)]
Seconds = Annotated[float, BeforeValidator(_duration), Field(gt=0, allow_inf_nan=False)]
Network = IPv4Network | IPv6Network


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(_Model):
    """The server's certificate chain and key (PEM files).

    With `client_ca` every sender must show a certificate that one of its authorities signed.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None


class Token(_Model):
    """One sender's credential, kept as the SHA-256 of a random token (`tokens.new_token` makes one).

    `cluster` pins the sender: whatever its points say, they count for this cluster.
    """

    name: str
    sha256: str
    scopes: tuple[str, ...] = (INGEST,)
    cluster: str | None = Field(default=None, min_length=1)

    @field_validator("sha256")
    @classmethod
    def _is_digest(cls, value: str) -> str:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
            raise ValueError("64 hexadecimal digits are expected: the SHA-256 of the token, not the token")
        return value.lower()


class Limits(_Model):
    """How much and how long one listener bears.

    `body`: bytes of a request once unpacked (64 MiB, as OTLP recommends); `compressed`: bytes of a packed one.
    `header_time`, `body_time`: how long a sender may take to send them; `idle_time`: how long a connection may wait for
    its next request. `answer_time`: a request that is not on disk by then hears "try again" (collectors give up after
    5 s). `connections`: of one HTTP listener, one
    more is hung up on; `workers`: requests that one gRPC listener reads and commits at once,
    each of up to `body` bytes that do not count as waiting until they are read.
    `retry_after`: what a sender is told to wait when told to come again.
    """

    body: Size = 64 * 1024**2
    compressed: Size = 16 * 1024**2
    header_bytes: Size = 32 * 1024
    header_time: Seconds = 10.0
    body_time: Seconds = 15.0
    idle_time: Seconds = 75.0
    answer_time: Seconds = 4.5
    retry_after: Seconds = 5.0
    connections: int = Field(default=512, gt=0)
    workers: int = Field(default=16, gt=0)


class Listener(_Model):
    """One open port of one protocol, with the names of one source.

    `preset` (or `preset_file`) says what the source calls things. `cluster` names the cluster of points that name none;
    with `is_cluster_pinned` all of its points count for it. `ingest_without_token`: networks whose senders need no
    token; the listener is theirs alone and its cluster is pinned. `insecure` allows an address that others can reach
    without TLS or without tokens.
    """

    address: str
    preset: str = "opentelemetry-network"
    preset_file: Path | None = None
    cluster: str = "default"
    is_cluster_pinned: bool = False
    tls: Tls | None = None
    tokens: tuple[Token, ...] = ()
    ingest_without_token: tuple[Network, ...] = ()
    insecure: bool = False
    limits: Limits = Limits()

    @field_validator("address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if (
            not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]\s]+):\d{1,5}", value)
            or int(value.rpartition(":")[2]) > 65535
        ):
            raise ValueError("an address is HOST:PORT, such as 127.0.0.1:4318 or [::1]:4318")
        return value

    @field_validator("preset")
    @classmethod
    def _is_preset(cls, value: str) -> str:
        known = preset_names()
        if value not in known:
            raise ValueError(
                f"there is no preset {value[:60]!r}: {suggest(value, known) or 'one of ' + ', '.join(known)}"
            )
        return value

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        names = [token.name for token in self.tokens]
        if len(set(names)) < len(names):
            raise ValueError("two tokens have the same name")
        if self.ingest_without_token and self.tokens:
            raise ValueError("ingest_without_token stands on a listener of its own, without tokens")
        if self.ingest_without_token and "cluster" not in self.model_fields_set:
            raise ValueError("ingest_without_token needs a fixed cluster: its senders cannot be told apart")
        if self.is_pinned and not self.cluster:
            raise ValueError("a pinned cluster needs a name")
        return self

    @property
    def host(self) -> str:
        """The host of the address, without brackets."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port of the address; 0 lets the system choose."""
        return int(self.address.rpartition(":")[2])

    @property
    def is_pinned(self) -> bool:
        """Whether all points count for `cluster`, whatever they say."""
        return self.is_cluster_pinned or bool(self.ingest_without_token)


class IntakeSettings(_Model):
    """How much may wait for the one thread that stores, and what it takes at once.

    `waiting` and `waiting_bodies` bound what is being read and what waits; beyond that senders hear "try again".
    `commit` and `commit_points` bound one transaction. Samples later than `late` are dropped as `too_late`, those more
    than `ahead` in the future are rejected.
    """

    waiting: Size = 256 * 1024**2
    waiting_bodies: int = Field(default=2000, gt=0)
    commit: Size = 64 * 1024**2
    commit_points: int = Field(default=200_000, gt=0)
    late: Seconds = 86400.0
    ahead: Seconds = 600.0


Listeners = Annotated[tuple[Listener, ...], BeforeValidator(_as_list)]


class Receivers(_Model):
    """All listeners by protocol (one or a list of each), and the intake they share."""

    otlp_grpc: Listeners = ()
    otlp_http: Listeners = ()
    hec: Listeners = ()
    remote_write: Listeners = ()
    intake: IntakeSettings = IntakeSettings()

    def listeners(self) -> list[tuple[Kind, Listener]]:
        """Every listener with its protocol, in the order of `KINDS`."""
        return [(kind, one) for kind in KINDS for one in getattr(self, kind)]
