"""Which name an address was asked for by, from the DNS answers that arrived on this node.

In: messages as they came, hostile. Out: names per (cgroup, address). An answer proves that somebody on this node asked
that server for that name; it does not prove that the server told the truth, so a name is a label and never a reason to
trust a destination.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from dataclasses import dataclass

from ebbtide.meter.flow import MAPPED_PREFIX
from ebbtide.meter.process import clean_name

_HEAD = struct.Struct("!6H")
_RECORD = struct.Struct("!HHIH")
_TYPE_A, _TYPE_AAAA = 1, 28
_RESPONSE, _RCODE_MASK, _TRUNCATED = 0x8000, 0x000F, 0x0200
_JUMPS = 16
_NAME_BYTES = 253
_ANSWERS = 64
_EVERYBODY = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The name asked for and the 16-byte addresses it has. `ttl_s` is the shortest of theirs."""

    name: str
    addresses: tuple[bytes, ...]
    ttl_s: int


def parse_answer(message: bytes) -> Answer | None:
    """The answer in a DNS message, None for anything else: queries, errors, no addresses, malformed.

    A message cut short gives the addresses before the cut. The name is the question's: what the program asked for, not
    what a CNAME made of it.
    """
    try:
        _, flags, questions, answers, _, _ = _HEAD.unpack_from(message)
        if not flags & _RESPONSE or flags & _RCODE_MASK or questions != 1:
            return None
        name, offset = _read_name(message, _HEAD.size)
    except (struct.error, IndexError, ValueError):
        return None
    addresses, ttl_s = _read_addresses(message, offset + 4, min(answers, _ANSWERS))
    if not addresses or not name:
        return None
    return Answer(clean_name(name.lower(), _NAME_BYTES), tuple(addresses), ttl_s)


def _read_addresses(message: bytes, offset: int, count: int) -> tuple[list[bytes], int]:
    found: list[bytes] = []
    ttl_s = 1 << 31
    try:
        for _ in range(count):
            _, offset = _read_name(message, offset)
            kind, _, ttl, length = _RECORD.unpack_from(message, offset)
            offset += _RECORD.size
            data = message[offset : offset + length]
            offset += length
            if kind == _TYPE_A and len(data) == 4:
                found.append(MAPPED_PREFIX + data)
            elif kind == _TYPE_AAAA and len(data) == 16:
                found.append(data)
            else:
                continue
            ttl_s = min(ttl_s, ttl)
    except (struct.error, IndexError, ValueError):
        pass  # cut short: what was whole is kept
    return found, ttl_s


def _read_name(message: bytes, offset: int) -> tuple[bytes, int]:
    """A name and the offset behind it. Pointers are followed at most 16 times, and only backwards."""
    labels: list[bytes] = []
    after = None
    for _ in range(_JUMPS + 128):
        length = message[offset]
        if length == 0:
            return b".".join(labels), offset + 1 if after is None else after
        if length & 0xC0 == 0xC0:
            target = (length & 0x3F) << 8 | message[offset + 1]
            if target >= offset:
                raise ValueError("a pointer that does not point back")
            after = offset + 2 if after is None else after
            offset = target
            continue
        if length & 0xC0 or offset + 1 + length > len(message):
            raise ValueError("not a label")
        labels.append(message[offset + 1 : offset + 1 + length].replace(b".", b"\\."))
        offset += 1 + length
    raise ValueError("a name without end")


class NameCache:
    """Names by (cgroup, address), the newest first to be believed; bounded, the least recently used leave first.

    Names stay past their time to live, because connections do: `hold_s` at least.
    """

    def __init__(self, *, limit: int = 65536, hold_s: float = 3600.0) -> None:
        self._limit = limit
        self._hold_s = hold_s
        self._names: OrderedDict[tuple[int, bytes], tuple[str, float]] = OrderedDict()
        self.unreadable = 0
        self.answers = 0

    def __len__(self) -> int:
        return len(self._names)

    def hear(self, cgroup: int, message: bytes, now_s: float) -> None:
        """Take an answer in."""
        answer = parse_answer(message)
        if answer is None:
            self.unreadable += 1
            return
        self.answers += 1
        until = now_s + max(self._hold_s, answer.ttl_s)
        for address in answer.addresses:
            for who in (cgroup, _EVERYBODY):
                self._names[who, address] = (answer.name, until)
                self._names.move_to_end((who, address))
        while len(self._names) > self._limit:
            self._names.popitem(last=False)

    def name(self, cgroup: int, address: bytes, now_s: float) -> str:
        """The name this cgroup asked for, else any on this node did, else ""."""
        for who in (cgroup, _EVERYBODY):
            found = self._names.get((who, address))
            if found is not None and found[1] >= now_s:
                return found[0]
        return ""
