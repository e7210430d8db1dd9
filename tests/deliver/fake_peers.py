"""A peer on loopback that fails in every way, over plain TCP or TLS, speaking HTTP or taking syslog frames."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Peer:
    """What it got, and how it behaves: a status such as 200, or `hang`, `cut`, `drip`, `garbage`."""

    port: int = 0
    mode: object = 200
    reply: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def peer(*, speaks: str = "http", context: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """A running peer; it is gone, with its threads, when the block ends."""
    state = Peer()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    state.port = listener.getsockname()[1]
    stop, threads = threading.Event(), []

    def accept() -> None:
        while not stop.is_set():
            try:
                sock, _ = listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=serve, args=(sock,))
            threads.append(thread)
            thread.start()

    def serve(plain: socket.socket) -> None:
        plain.settimeout(5)
        with plain, contextlib.suppress(OSError):
            if context is None:
                answer(plain)
            else:
                with context.wrap_socket(plain, server_side=True) as secure:
                    answer(secure)

    def answer(sock: socket.socket) -> None:
        if speaks == "http":
            _http(sock, state)
        else:
            _syslog(sock, state)

    main = threading.Thread(target=accept)
    main.start()
    try:
        yield state
    finally:
        stop.set()
        state.release.set()
        main.join()
        for thread in threads:
            thread.join()
        listener.close()


def _http(sock: socket.socket, state: Peer) -> None:
    with sock.makefile("rb") as stream:
        path = stream.readline().decode().split(" ")[1]
        headers = {}
        while line := stream.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
    state.requests.append((path, headers, body))
    if state.mode == "hang":
        state.release.wait(5)
    elif state.mode == "garbage":
        sock.sendall(b"\x16\x03 no HTTP at all\r\n\r\n")
    elif state.mode == "cut":
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    elif state.mode == "drip":
        sock.sendall(b"HTTP/1.1 200 OK\r\n")
        while not state.release.wait(0.02):
            sock.sendall(b"X")
    else:
        extra = "".join(f"{name}: {value}\r\n" for name, value in state.headers.items())
        head = f"HTTP/1.1 {state.mode} Said\r\nContent-Length: {len(state.reply)}\r\n{extra}\r\n"
        sock.sendall(head.encode() + state.reply)


def _syslog(sock: socket.socket, state: Peer) -> None:
    if state.mode == "cut":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return
    body = b""
    while piece := sock.recv(65536):
        body += piece
    state.requests.append(("", {}, body))
    if state.mode in ("hang", "drip"):
        while not state.release.wait(0.02):
            if state.mode == "drip":
                sock.sendall(b"x")
    if isinstance(sock, ssl.SSLSocket):
        sock.unwrap()
