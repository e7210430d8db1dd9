"""The two programs of the live demonstration's self-test. Run by their path, with nothing but the standard library.

`receive HOST` prints its port and reads one connection to its end. `send HOST PORT NAME` calls itself NAME, sends 2 kB
a second, and for each line of input a burst; the end of its input ends it.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import sys
import time

STEADY_BYTES = 2_000
BURST_BYTES = 40_000_000
_PR_SET_NAME = 15
_CHUNK_BYTES = 1 << 20


def receive(host: str) -> None:
    """Read what one sender sends, and throw it away."""
    with socket.create_server((host, 0)) as server:
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
        with connection:
            while connection.recv(_CHUNK_BYTES):
                pass


def send(host: str, port: int, name: str) -> None:
    """Send a little each second until the input ends; a line of input is a burst."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)
    with socket.create_connection((host, port)) as connection:
        while True:
            connection.sendall(bytes(STEADY_BYTES))
            until_s = time.monotonic() + 1.0
            while (left_s := until_s - time.monotonic()) > 0:
                if select.select([0], [], [], left_s)[0]:
                    if not os.read(0, 1):
                        return
                    connection.sendall(bytes(BURST_BYTES))


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        receive(sys.argv[2])
    else:
        send(sys.argv[2], int(sys.argv[3]), sys.argv[4])
