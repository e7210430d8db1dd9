"""The contract of a sink: what it is given, when, and what it may do.

A change of a finding comes in as a `Delivery`; when `send` returns, the peer has it. Whatever keeps a delivery from
arriving is raised as `Retryable` or `Permanent`: there is no third way, and nothing is swallowed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol, TypeAlias, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ebbtide.deliver.backoff import Retry
from ebbtide.detect.detection import Duration
from ebbtide.errors import DataError, ServiceError
from ebbtide.finding.finding import Finding
from ebbtide.finding.lifecycle import Change
from ebbtide.finding.notice import HEARTBEAT
from ebbtide.series import MINUTE_NS


@dataclass(frozen=True, slots=True)
class Delivery:
    """One change of one finding, as a sink gets it.

    `id` is the same at each attempt, so that a receiver can tell a repetition. `at_ns` is when the change was noticed,
    `closed_ns` when the episode ended (None while it is open), `reopened` how often it came back. `link` is where a
    person reads on, "" where there is no such page. `is_test`: an operator tries the sink; nothing happened.
    """

    id: str
    change: Change
    finding: Finding
    at_ns: int
    closed_ns: int | None = None
    reopened: int = 0
    link: str = ""
    is_test: bool = False

    @property
    def is_heartbeat(self) -> bool:
        """Whether nothing happened and nothing is tried: it only says that the path works."""
        # The detector too: a user's own detection may have that id, and is no heartbeat.
        return self.finding.detection_id == self.finding.evidence.detector == HEARTBEAT.id

    @property
    def word(self) -> str:
        """What it is, for a receiver: the change's name, or `heartbeat`."""
        return HEARTBEAT.id if self.is_heartbeat else self.change.value


class DeliveryError(ServiceError):
    """A delivery did not arrive. The message may be shown: it holds no secret and no payload."""


class Retryable(DeliveryError):
    """The sink or its peer is unwell: the same delivery may succeed later, and later ones wait behind it.

    Also a wrong token or address, since what waits arrives once the settings are mended. `retry_after_s` is what the
    peer asked for, None where it did not.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class Permanent(DeliveryError):
    """The peer will never take this delivery, whatever is waited or mended: it becomes a dead letter at once."""


class Held(Retryable):
    """A delivery was not tried in this call, because another one failed before it: no attempt of its own."""


#: What became of one delivery among several: None where it arrived, else what `send` would have raised.
Outcome: TypeAlias = Exception | None


def is_refusal(outcome: Outcome) -> bool:
    """Whether a delivery will never arrive: the peer refused it, or it cannot be read."""
    return isinstance(outcome, (Permanent, DataError)) and not isinstance(outcome, Retryable)


class Sink(Protocol):
    """Where findings go.

    Promised to a sink:
    - `send` is called with one delivery at a time, in the order in which the findings changed, from one thread that is
      this sink's own for as long as the sink is open. Nothing else waits for it.
    - After `Retryable` the same delivery comes again, with the same `id`, before any later one, until it is given up.
      After a crash a delivery that had arrived may come once more: at least once, never exactly once.
    - `now_ns` is the time of the call, Unix nanoseconds UTC. A sink asks no clock for what it sends.
    - `close` is called once, from that thread, after the last `send`; not if the process dies.

    Promised by a sink:
    - `send` returns only when the peer has confirmed as well as its protocol can (each sink says how well), and ends
      about when its `timeout_s` does, whatever the peer does.
    - It raises `Retryable` or `Permanent`. Anything else is a fault of the sink: it is reported under the sink's name
      and the delivery is tried again.
    - It changes nothing of the delivery, keeps nothing of it afterwards, and logs neither secrets nor payloads.
    - Every text in a finding may come from an attacker: it is escaped for the format that is spoken.
    - `close` does not raise.
    """

    def send(self, delivery: Delivery, now_ns: int) -> None:
        """Hand one delivery over. Raises Retryable or Permanent."""

    def close(self) -> None:
        """Let go of connections and files."""


@runtime_checkable
class Together(Protocol):
    """What a sink has besides, if it can take several deliveries in one call: as `Sink`, with these differences.

    - The changes of one finding arrive in their order; those of different findings may arrive in any.
    - What arrived is confirmed for all at once: after a crash each of them may come once more.
    """

    def send_together(self, deliveries: Sequence[Delivery], now_ns: int) -> list[Outcome]:
        """Hand these over, in order; what became of each, in the same order. Raises nothing that `send` may raise."""


def _not_too_often(every_ns: int) -> int:
    if every_ns < MINUTE_NS:
        raise ValueError("heartbeats are at least 1m apart")
    return every_ns


class SinkSettings(BaseModel):
    """What every sink's settings share. A sink's own model adds its keys and opens it.

    `changes` tells which changes are queued for it; default: all. `retry` is the sink's patience. `heartbeat` is how
    often it is sent a heartbeat; None sends none, since a receiver that does not expect one takes it for an event.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    #: The `type:` in the settings; also the name of the sink's file.
    kind: ClassVar[str]

    changes: tuple[Change, ...] = tuple(Change)
    retry: Retry = Field(default_factory=Retry)
    heartbeat: Annotated[Duration, AfterValidator(_not_too_often)] | None = None

    def open(self) -> Sink:
        """The sink, ready to send. Opens no connection yet. Raises ConfigError where the settings cannot work."""
        raise NotImplementedError

    @property
    def target(self) -> str:
        """Where it sends to, in a form that may be shown: no path, no secret."""
        raise NotImplementedError
