"""Unpacking that trusts no size: a body grows step by step and stops at its limit.

In come packed bytes, out come unpacked ones or a `Refusal`. A bomb of some kilobytes would else become gigabytes before
anyone looked at it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Final

import cramjam
import zstandard

from ebbtide.receive.refusal import Reason, Refusal

_STEP: Final = 256 * 1024
_SLICE: Final = 64 * 1024
#: A gzip file may be several, one after the other; each start costs time whatever it holds.
_MEMBERS_MAX: Final = 1000
#: What RFC 8878 asks a receiver to bear at least; senders stay below it.
_ZSTD_WINDOW_MAX: Final = 8 * 1024**2
_ZSTD_SLICE: Final = 256
_GZIP: Final = 31
_ZLIB: Final = 15
_RAW: Final = -15

Grow = Callable[[int], None]


def _free(_: int) -> None:
    return None


def unpack(packed: bytes, encoding: str, limit: int, grow: Grow = _free) -> bytes:
    """The body behind a content encoding, of at most `limit` bytes.

    `encoding`: "" or identity, gzip, x-gzip, deflate (zlib or raw), zstd, snappy (the block format). `grow` is told
    each step's bytes before they are kept and may raise. Raises Refusal for what is too large, damaged or not known.
    """
    name = encoding.strip().lower()
    try:
        if name in ("", "identity"):
            return _within(packed, limit)
        if name == "snappy":
            return _snappy(packed, limit, grow)
        parts = _parts(packed, name)
        body = bytearray()
        for part in parts:
            if len(body) + len(part) > limit:
                raise _too_large(limit)
            grow(len(part))
            body += part
        return bytes(body)
    except (zlib.error, zstandard.ZstdError, cramjam.DecompressionError, EOFError) as error:
        raise Refusal(
            Reason.BAD_BODY, f"the body is not {name}: {error}", hint="is it cut short, or packed another way?"
        ) from error


def _parts(packed: bytes, name: str) -> Iterator[bytes]:
    if name in ("gzip", "x-gzip"):
        return _inflate(packed, _GZIP)
    if name == "deflate":
        return _inflate(packed, _ZLIB if is_zlib(packed) else _RAW)
    if name == "zstd":
        return _zstd(packed)
    raise Refusal(Reason.ENCODING, f"the content encoding {name!r} is not known", hint="gzip, zstd, deflate or snappy")


def is_zlib(packed: bytes) -> bool:
    """Whether these bytes begin like a zlib stream (RFC 1950)."""
    return len(packed) >= 2 and packed[0] & 15 == 8 and (packed[0] << 8 | packed[1]) % 31 == 0


def magic_of(message: bytes) -> str:
    """The encoding of a gRPC message by its first bytes; "" for a plain request.

    Every OTLP request begins with the tag of its first field, 0x0a; none of these marks could begin one.
    """
    if message.startswith(b"\x1f\x8b"):
        return "gzip"
    if message.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd"
    return "deflate" if is_zlib(message) else ""


def _inflate(packed: bytes, bits: int) -> Iterator[bytes]:
    members = 1
    inflater = zlib.decompressobj(bits)
    for at in range(0, len(packed), _SLICE):
        rest = packed[at : at + _SLICE]
        while rest:
            if inflater.eof:
                members += 1
                if bits != _GZIP or members > _MEMBERS_MAX:
                    raise Refusal(Reason.BAD_BODY, "something follows the packed body")
                inflater = zlib.decompressobj(bits)
            yield inflater.decompress(rest, _STEP)
            rest = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    if not inflater.eof:
        while part := inflater.decompress(inflater.unconsumed_tail, _STEP):
            yield part
    if not inflater.eof:
        raise EOFError("it ends too early")


def _zstd(packed: bytes) -> Iterator[bytes]:
    """A block of 4 bytes may stand for 128 KiB, so what a slice can become is bounded by its length."""
    expander = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MAX)
    frame = expander.decompressobj()
    for at in range(0, len(packed), _ZSTD_SLICE):
        rest = packed[at : at + _ZSTD_SLICE]
        while rest:
            if frame.eof:
                frame = expander.decompressobj()
            yield frame.decompress(rest)
            rest = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise EOFError("it ends too early")


def _snappy(packed: bytes, limit: int, grow: Grow) -> bytes:
    """The block format says its size first; it is believed only as far as it is allowed."""
    if not packed:
        return b""
    size = cramjam.snappy.decompress_raw_len(packed)
    if size > limit:
        raise _too_large(limit)
    grow(size)
    return bytes(cramjam.snappy.decompress_raw(packed))


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> Refusal:
    return Refusal(Reason.TOO_LARGE, f"the body has more than {limit} bytes", hint="send smaller batches")
