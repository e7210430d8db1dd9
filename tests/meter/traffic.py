"""Traffic of known size, as a program: run in a network namespace or cgroup by the tests, prints what it did as JSON.

It needs nothing but Python, so that it starts in milliseconds.
"""

import ctypes
import json
import os
import socket
import struct
import sys
import time
from types import SimpleNamespace


def tcp_info(sock):
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    segments_out, segments_in = struct.unpack_from("=II", info, 136)
    return {"out": segments_out, "in": segments_in, "again": struct.unpack_from("=I", info, 100)[0]}


def say(**what):
    print(json.dumps({"pid": os.getpid(), **what}), flush=True)


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def listen(host):
    sock = socket.create_server((host, 0), family=family(host), backlog=512)
    say(port=sock.getsockname()[1])
    return sock


def take(sock):
    received = 0
    while chunk := sock.recv(1 << 20):
        received += len(chunk)
    return received


def serve(args):
    """Accept `connections`, read each to its end, answer with `reply` bytes."""
    server = listen(args.host)
    received, infos = 0, []
    for _ in range(args.connections):
        sock, _ = server.accept()
        received += take(sock)
        sock.sendall(bytes(args.reply))
        sock.shutdown(socket.SHUT_WR)
        infos.append(tcp_info(sock))
        sock.close()
    say(received=received, infos=infos)


def prefork(args):
    """One process listens, two others accept."""
    server = listen(args.host)
    children = []
    for _ in range(2):
        child = os.fork()
        if not child:
            for _ in range(args.connections // 2):
                sock, _ = server.accept()
                take(sock)
                sock.sendall(bytes(args.reply))
                sock.close()
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    say(children=children)


def send(args):
    """Open `connections` one after another, send `size` bytes on each, read the answers."""
    received, info = 0, None
    chunk = bytes(min(args.size, 1 << 20))
    for _ in range(args.connections):
        sock = socket.create_connection((args.host, args.port))
        left = args.size
        while left > 0:
            left -= sock.send(chunk[:left])
        sock.shutdown(socket.SHUT_WR)
        received += take(sock)
        info = tcp_info(sock)
        sock.close()
    say(received=received, info=info)


def burst(args):
    """Send `connections` datagrams of `size` bytes, each to the next of `spread` addresses."""
    sock = socket.socket(family(args.host), socket.SOCK_DGRAM)
    head, _, last = args.host.rpartition(".")
    for number in range(args.connections):
        host = f"{head}.{int(last) + number % args.spread}" if args.spread > 1 else args.host
        sock.sendto(bytes(args.size), (host, args.port))
    say()


def sink(args):
    """Receive `connections` datagrams."""
    sock = socket.socket(family(args.host), socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.bind((args.host, 0))
    sock.settimeout(10)
    say(port=sock.getsockname()[1])
    say(received=sum(len(sock.recv(65536)) for _ in range(args.connections)))


def renamed(args):
    """Send under one name, then under another; wait in between until told."""
    sock = socket.create_connection((args.host, args.port))
    sock.sendall(bytes(args.size))
    say()
    sys.stdin.readline()
    ctypes.CDLL(None).prctl(15, args.name.encode(), 0, 0, 0)
    sock.sendall(bytes(args.size))
    sock.shutdown(socket.SHUT_WR)
    take(sock)
    say()
    sys.stdin.readline()


def stay(args):
    """Send `size` bytes under `name`, and `size` more at each line of input, on one connection."""
    ctypes.CDLL(None).prctl(15, args.name.encode(), 0, 0, 0)
    sock = socket.create_connection((args.host, args.port))
    sock.sendall(bytes(args.size))
    say()
    while sys.stdin.readline():
        sock.sendall(bytes(args.size))
        time.sleep(0.02)
        say()


def resolve(args):
    """Answer one DNS query for anything with `name` (an address), then end."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((args.host, 53))
    say(port=53)
    query, client = sock.recvfrom(512)
    end = query.index(b"\0", 12) + 5
    answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(args.name)
    sock.sendto(query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:end] + answer, client)
    say()


def ask(args):
    """Ask the name server at `host` for `name`."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(10)
    labels = b"".join(bytes([len(label)]) + label for label in args.name.encode().split(b"."))
    sock.sendto(b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1", (args.host, 53))
    sock.recv(512)
    say()


DEFAULTS = {"host": "127.0.0.1", "port": 0, "size": 1000, "connections": 1, "reply": 0, "spread": 1, "name": "x"}

if __name__ == "__main__":
    given = dict(argument.split("=", 1) for argument in sys.argv[2:])
    typed = {key: type(DEFAULTS[key])(text) for key, text in given.items()}
    globals()[sys.argv[1]](SimpleNamespace(**{**DEFAULTS, **typed}))
