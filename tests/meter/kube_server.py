"""An API server on loopback that serves lists two objects a page, and watches that tell what a test says."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATHS = ("/api/v1/pods", "/api/v1/services", "/api/v1/nodes", "/apis/batch/v1/jobs")


class Api:
    """`lists` are what there is; `tell` says an event to the watch of a path, `hang_up` ends it.

    `status` answers every request, `forbidden` one path with 403; `body` stands in for every list. `seen` has path,
    query and authorization of each request. The version of a list counts what was told of it.
    """

    def __init__(self):
        self.lists = {path: [] for path in PATHS}
        self.events = {path: queue.Queue() for path in PATHS}
        self.told = dict.fromkeys(PATHS, 100)
        self.status, self.forbidden, self.seen, self.body = 200, "", [], None
        self.is_over = False
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                parts = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(parts.query))
                api.seen.append((parts.path, query, self.headers.get("Authorization")))
                status = 403 if parts.path == api.forbidden else api.status
                if query.get("watch") and status == 200:
                    self.watch(parts.path)
                else:
                    self.answer(status, api.body or api.page(parts.path, int(query.get("continue", "0"))))

            def answer(self, status, data):
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def watch(self, path):
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                while (line := api.next_line(path)) is not None:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

            def handle(self):
                with contextlib.suppress(ConnectionError):  # the client has hung up
                    super().handle()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def page(self, path, start):
        """Two objects of a list as the body of an answer."""
        more = {"continue": str(start + 2)} if start + 2 < len(self.lists[path]) else {}
        meta = {"resourceVersion": str(self.told[path]), **more}
        return json.dumps({"items": self.lists[path][start : start + 2], "metadata": meta}).encode()

    def tell(self, path, kind, found):
        """An event, as an object or as bytes that are sent as they are."""
        self.told[path] += 1
        if isinstance(found, dict):
            meta = {**found.get("metadata", {}), "resourceVersion": str(self.told[path])}
            found = json.dumps({"type": kind, "object": {**found, "metadata": meta}}).encode() + b"\n"
        self.events[path].put(found)

    def hang_up(self, path):
        """The watch of a path ends in order."""
        self.events[path].put(None)

    def next_line(self, path):
        """What a watch says next, None at its end."""
        while not self.is_over:
            try:
                return self.events[path].get(timeout=0.05)
            except queue.Empty:
                continue
        return None

    def close(self):
        """End every watch and the server."""
        self.is_over = True
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def until(is_so):
    """Wait for something that another thread does."""
    deadline = time.monotonic() + 20
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_so()
