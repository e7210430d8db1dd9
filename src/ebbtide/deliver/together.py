"""Several deliveries in one call: in one request where the receiver takes lists, over several connections where not.

What goes side by side is never of one finding: its changes arrive in their order, those of different findings in any.
Outcomes come back in the order of the deliveries: None arrived, anything else is why not. Without this a storm of
findings would wait for one answer after the other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from ebbtide.deliver.sink import Delivery, Held, Outcome, Permanent, is_refusal
from ebbtide.errors import DataError

#: Hands one delivery over. Raises Retryable or Permanent.
Send: TypeAlias = Callable[[Delivery], None]
#: Hands several over in one request. Raises Retryable or Permanent for all of them.
SendAll: TypeAlias = Callable[[Sequence[Delivery]], None]


class RefusedFrom(Permanent):
    """A list that was taken up to one delivery, its `place`, which was refused; nothing behind it was looked at."""

    def __init__(self, message: str, place: int) -> None:
        super().__init__(message)
        self.place = place


def held() -> Held:
    """The outcome of what was not tried, because something before it failed."""
    return Held("not tried yet: another delivery failed before it")


def in_lists(deliveries: Sequence[Delivery], send: SendAll) -> list[Outcome]:
    """Send in as few requests as hold each finding once; one at a time where a list is refused, to find out which.

    A receiver that says which one it refused (`RefusedFrom`) has those before it, and gets those behind it in a list.

    A request that fails otherwise ends it: its first delivery counts as tried, the others as held.
    """
    outcomes: list[Outcome] = []
    for part in _once_each(deliveries):
        outcomes += _send_list(part, send)
        if any(isinstance(one, Exception) and not is_refusal(one) for one in outcomes):
            break
    return outcomes + [held() for _ in deliveries[len(outcomes) :]]


def _send_list(part: Sequence[Delivery], send: SendAll) -> list[Outcome]:
    try:
        send(part)
    except RefusedFrom as error:
        behind = part[error.place + 1 :]
        return [*(None for _ in part[: error.place]), error, *(_send_list(behind, send) if behind else ())]
    except (Permanent, DataError) as error:
        if len(part) == 1:
            return [error]
    except Exception as error:  # noqa: BLE001  the caller tells a sink's fault from a peer's, and which one it is
        return [error, *(held() for _ in part[1:])]
    else:
        return [None for _ in part]
    outcomes: list[Outcome] = []
    for one in part:
        outcomes += _send_list([one], send)
        if outcomes[-1] is not None and not is_refusal(outcomes[-1]):
            break
    return outcomes + [held() for _ in part[len(outcomes) :]]


def _once_each(deliveries: Sequence[Delivery]) -> Iterator[list[Delivery]]:
    """Runs of deliveries in which no finding comes twice."""
    part: list[Delivery] = []
    seen: set[str] = set()
    for one in deliveries:
        if one.finding.uid in seen:
            yield part
            part, seen = [], set()
        part.append(one)
        seen.add(one.finding.uid)
    if part:
        yield part


def side_by_side(deliveries: Sequence[Delivery], senders: Sequence[Send]) -> list[Outcome]:
    """Send with several senders at once, each in a thread of its own; the changes of one finding one after the other.

    Once a delivery fails so that it may be tried again, nothing new is begun.
    """
    outcomes: list[Outcome] = [held() for _ in deliveries]
    lines: dict[str, list[int]] = {}
    for at, one in enumerate(deliveries):
        lines.setdefault(one.finding.uid, []).append(at)
    todo, is_over = deque(lines.values()), threading.Event()

    def work(send: Send) -> None:
        while not is_over.is_set():
            try:
                line = todo.popleft()
            except IndexError:
                return
            for at in line:
                outcomes[at] = _send_one(deliveries[at], send)
                if outcomes[at] is not None and not is_refusal(outcomes[at]):
                    is_over.set()
                if is_over.is_set():
                    break

    used = senders[: max(1, len(lines))]
    if len(used) == 1:
        work(used[0])
    else:
        with ThreadPoolExecutor(len(used), thread_name_prefix="ebbtide-in-flight") as pool:
            list(pool.map(work, used))
    return outcomes


def _send_one(delivery: Delivery, send: Send) -> Outcome:
    try:
        send(delivery)
    except Exception as error:  # noqa: BLE001  the caller tells a sink's fault from a peer's, and which one it is
        return error
    return None
