"""DNS answers: real shapes, cut ones, hostile ones."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from ebbtide.meter.dns import NameCache, parse_answer
from ebbtide.meter.flow import address_bytes


def name(text: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def answer(question: str, *records: tuple[bytes, int, bytes], flags: int = 0x8180, ttl: int = 60) -> bytes:
    head = struct.pack("!6H", 7, flags, 1, len(records), 0, 0)
    body = name(question) + struct.pack("!HH", 1, 1)
    for owner, kind, data in records:
        body += owner + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data
    return head + body


POINTER = b"\xc0\x0c"
V4 = bytes([192, 0, 2, 1])
V6 = address_bytes("2001:db8::5")


def test_addresses_carry_the_name_asked_for():
    found = parse_answer(answer("API.Example.com", (POINTER, 1, V4), (POINTER, 28, V6)))
    assert found.name == "api.example.com"
    assert found.addresses == (address_bytes("192.0.2.1"), V6)
    assert found.ttl_s == 60


def test_a_chain_of_cnames_keeps_the_question():
    found = parse_answer(
        answer("www.shop.example", (POINTER, 5, name("cdn.example.net")), (name("cdn.example.net"), 1, V4))
    )
    assert (found.name, len(found.addresses)) == ("www.shop.example", 1)


def test_queries_errors_and_empty_answers_are_none():
    assert parse_answer(answer("a.b", (POINTER, 1, V4), flags=0x0100)) is None
    assert parse_answer(answer("a.b", (POINTER, 1, V4), flags=0x8183)) is None
    assert parse_answer(answer("a.b")) is None
    assert parse_answer(b"") is None


def test_a_cut_message_keeps_what_is_whole():
    whole = answer("a.example", (POINTER, 1, V4), (POINTER, 1, bytes([192, 0, 2, 2])))
    assert len(parse_answer(whole[:-3]).addresses) == 1


def test_a_pointer_that_loops_is_refused():
    looping = struct.pack("!6H", 7, 0x8180, 1, 1, 0, 0) + b"\xc0\x0c" + bytes(30)
    assert parse_answer(looping) is None
    forward = struct.pack("!6H", 7, 0x8180, 1, 1, 0, 0) + b"\xc0\xff" + bytes(300)
    assert parse_answer(forward) is None


def test_hostile_labels_are_made_harmless():
    message = struct.pack("!6H", 7, 0x8180, 1, 1, 0, 0) + b"\x05a\nb.c\0" + struct.pack("!HH", 1, 1)
    message += POINTER + struct.pack("!HHIH", 1, 1, 60, 4) + V4
    assert parse_answer(message).name == "a\\x0ab\\.c"


@given(st.binary(max_size=600))
def test_no_message_raises(message):
    parse_answer(message)


@given(st.data())
def test_no_mutation_raises(data):
    whole = bytearray(answer("www.shop.example", (POINTER, 5, name("x.y")), (POINTER, 1, V4), (POINTER, 28, V6)))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = parse_answer(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    assert found is None or all(len(address) == 16 for address in found.addresses)


def test_the_own_answer_comes_before_that_of_others():
    cache = NameCache()
    cache.hear(5, answer("mine.example", (POINTER, 1, V4)), 0.0)
    cache.hear(6, answer("theirs.example", (POINTER, 1, V4)), 0.0)
    address = address_bytes("192.0.2.1")
    assert [cache.name(cgroup, address, 1.0) for cgroup in (5, 6, 7)] == [
        "mine.example",
        "theirs.example",
        "theirs.example",
    ]


def test_names_outlive_their_time_to_live_but_not_the_hold():
    cache = NameCache(hold_s=100.0)
    cache.hear(5, answer("a.example", (POINTER, 1, V4), ttl=1), 0.0)
    assert cache.name(5, address_bytes("192.0.2.1"), 99.0) == "a.example"
    assert cache.name(5, address_bytes("192.0.2.1"), 101.0) == ""


def test_the_cache_is_bounded_and_counts_what_it_could_not_read():
    cache = NameCache(limit=50)
    for number in range(200):
        cache.hear(1, answer("a.example", (POINTER, 1, bytes([10, 0, 0, number]))), 0.0)
    cache.hear(1, b"junk", 0.0)
    assert (len(cache), cache.answers, cache.unreadable) == (50, 200, 1)
