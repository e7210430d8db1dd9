"""The few messages a receiver writes in protobuf, put together by hand: answers, errors, "come again in n seconds".

Source: opentelemetry-proto `collector/metrics/v1/metrics_service.proto`; googleapis `google/rpc/status.proto` and
`error_details.proto`. Their generated classes would be a dependency for a dozen bytes.
"""

from __future__ import annotations

from typing import Final

_RETRY_INFO: Final = b"type.googleapis.com/google.rpc.RetryInfo"


def export_response(rejected: int, message: str) -> bytes:
    """An ExportMetricsServiceResponse; empty where nothing was rejected and there is nothing to say."""
    if not rejected and not message:
        return b""
    return _field(1, _number(1, rejected) + _field(2, message.encode()))


def rpc_status(code: int, message: str, retry_after_s: float | None = None) -> bytes:
    """A google.rpc.Status; with `retry_after_s` a RetryInfo that says so."""
    encoded = _number(1, code) + _field(2, message.encode())
    if retry_after_s is not None:
        whole = int(retry_after_s)
        delay = _number(1, whole) + _number(2, int((retry_after_s - whole) * 1e9))
        encoded += _field(3, _field(1, _RETRY_INFO) + _field(2, _field(1, delay)))
    return encoded


def _number(number: int, value: int) -> bytes:
    return bytes([number << 3]) + _varint(value) if value else b""


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
