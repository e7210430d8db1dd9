"""Unpacking: every encoding there and back, damage is named, bombs never become what they are."""

from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib

import cramjam
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from requests_of_decode import STEADY, Point, proto

from ebbtide.receive.bounded import magic_of, unpack
from ebbtide.receive.refusal import Reason, Refusal

MIB = 1024 * 1024
LIMIT = 4 * MIB


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "snappy": lambda body: bytes(cramjam.snappy.compress_raw(body)),
}


@pytest.mark.parametrize("encoding", PACKERS)
@settings(STEADY, max_examples=25)
@given(seed=st.integers(0, 2**32), size=st.integers(0, 3 * MIB), same=st.booleans())
def test_there_and_back(encoding, seed, size, same):
    body = b"a" * size if same else random.Random(seed).randbytes(size)
    assert unpack(PACKERS[encoding](body), encoding.upper(), LIMIT) == body


def test_deflate_comes_with_and_without_a_head():
    assert unpack(raw_deflate(b"hello" * 100), "deflate", LIMIT) == b"hello" * 100


def test_a_gzip_of_several_members_and_a_zstd_of_several_frames():
    assert unpack(gzip.compress(b"one ") + gzip.compress(b"two"), "gzip", LIMIT) == b"one two"
    pack = zstandard.ZstdCompressor().compress
    assert unpack(pack(b"one ") + pack(b"two"), "zstd", LIMIT) == b"one two"


def test_thousands_of_empty_members_are_refused():
    with pytest.raises(Refusal) as caught:
        unpack(gzip.compress(b"") * 5000, "gzip", LIMIT)
    assert caught.value.reason is Reason.BAD_BODY


BOMBS = {
    "gzip": lambda: gzip.compress(bytes(512 * MIB), 9),
    "deflate": lambda: zlib.compress(bytes(512 * MIB), 9),
    "zstd": lambda: zstandard.ZstdCompressor(level=1).compress(bytes(512 * MIB)),
    # What the block format says of its size, and no such data: it must not be believed.
    "snappy": lambda: b"\xff\xff\xff\xff\x0f" + bytes(100),
}


@pytest.mark.parametrize("encoding", BOMBS)
def test_a_bomb_stops_at_the_limit(encoding):
    bomb = BOMBS[encoding]()
    taken = []
    tracemalloc.start()
    try:
        with pytest.raises(Refusal) as caught:
            unpack(bomb, encoding, LIMIT, taken.append)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.reason is Reason.TOO_LARGE
    assert sum(taken) <= LIMIT
    assert peak < 8 * LIMIT


@pytest.mark.parametrize("encoding", PACKERS)
def test_what_is_damaged_is_refused(encoding):
    whole = PACKERS[encoding](random.Random(1).randbytes(10_000))
    for damaged in (whole[:-5], whole[: len(whole) // 2], b"\x00" + whole, b"", b"\xff" * 30):
        if encoding == "snappy" and not damaged:
            continue  # an empty block is how an empty request may be written
        with pytest.raises(Refusal) as caught:
            unpack(damaged, encoding, LIMIT)
        assert caught.value.reason in (Reason.BAD_BODY, Reason.TOO_LARGE)


@pytest.mark.parametrize("encoding", PACKERS)
@settings(STEADY, max_examples=60)
@given(body=st.binary(max_size=200))
def test_any_bytes_end_in_a_body_or_a_refusal(encoding, body):
    try:
        assert len(unpack(body, encoding, LIMIT)) <= LIMIT
    except Refusal as refusal:
        assert refusal.reason in (Reason.BAD_BODY, Reason.TOO_LARGE)


def test_each_step_is_told_before_it_is_kept_and_may_be_refused():
    def full(_: int) -> None:
        raise Refusal(Reason.BUSY, "full")

    for encoding, pack in PACKERS.items():
        with pytest.raises(Refusal, match="full"):
            unpack(pack(b"a" * 1000), encoding, LIMIT, full)


def test_what_is_not_packed_has_the_same_limit():
    assert unpack(b"abc", "identity", 3) == b"abc"
    with pytest.raises(Refusal) as caught:
        unpack(b"abcd", "", 3)
    assert caught.value.reason is Reason.TOO_LARGE


def test_other_encodings_are_named():
    with pytest.raises(Refusal) as caught:
        unpack(b"", "br", LIMIT)
    assert caught.value.reason is Reason.ENCODING


def test_a_packed_grpc_message_is_known_by_its_first_bytes():
    body = proto([Point()] * 50)
    assert magic_of(body) == magic_of(b"") == ""
    for encoding in ("gzip", "deflate", "zstd"):
        packed = PACKERS[encoding](body)
        assert magic_of(packed) == encoding
        assert unpack(packed, magic_of(packed), LIMIT) == body
