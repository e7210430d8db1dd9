"""A connection whose every step ends at one deadline: dialling, the handshake, each write, each read.

A timeout of a socket bounds one read alone, so a peer that drips a byte a second holds a client for ever. Deadlines
are seconds of `time.monotonic()`. Everything here raises TimeoutError once the deadline is past.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from typing import Any


def left_s(deadline_s: float) -> float:
    """The seconds until then, more than zero."""
    left = deadline_s - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def dial(address: str, port: int, name: str, context: ssl.SSLContext | None, deadline_s: float) -> socket.socket:
    """A connection to this address; with a context over TLS, where the peer must prove to be `name`.

    Raises OSError where nobody answers, ssl.SSLError where the proof fails.
    """
    sock = socket.create_connection((address, port), timeout=left_s(deadline_s))
    if context is None:
        return sock
    try:
        sock.settimeout(left_s(deadline_s))  # bounds the handshake as a whole, not each of its reads
        return context.wrap_socket(sock, server_hostname=name)
    except BaseException:  # also on Ctrl-C: no socket stays open
        sock.close()
        raise


def http_over(sock: socket.socket, netloc: str, deadline_s: float) -> http.client.HTTPConnection:
    """The standard library's client over a connection that is there already. Whoever dialled closes it."""
    connection = http.client.HTTPConnection(netloc)
    held: Any = _Held(sock, deadline_s)  # `Any`: the client asks for a socket and uses these three methods
    connection.sock = held
    return connection


class _Reading(io.RawIOBase):
    """Reads of a socket that together end at a deadline, however slowly the peer drips."""

    def __init__(self, sock: socket.socket, deadline_s: float) -> None:
        self._sock, self._deadline_s = sock, deadline_s

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As `RawIOBase`; `Any`: whatever buffer the reader brings."""
        self._sock.settimeout(left_s(self._deadline_s))
        return self._sock.recv_into(buffer)


class _Held:
    """What `http.client` needs of a socket, with every read and write inside the deadline."""

    def __init__(self, sock: socket.socket, deadline_s: float) -> None:
        self._sock, self._deadline_s = sock, deadline_s

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(left_s(self._deadline_s))
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self._sock, self._deadline_s))

    def close(self) -> None:
        return None
