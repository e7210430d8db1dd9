"""deploy/audit.py with the real pip-audit, against a database of vulnerabilities of our own."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from manifests import ROOT
from metrics_servers import free_port

SCRIPT = ROOT / "deploy" / "audit.py"
CANARY = ("h11", "0.14.0")


def hole(package: str, version: str) -> dict:
    fixed = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}]
    affected = [{"package": {"name": package, "ecosystem": "PyPI"}, "ranges": fixed, "versions": [version]}]
    return {"id": "GHSA-test-test-test", "summary": "x", "details": "x", "aliases": [], "affected": affected,
            "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z"}  # fmt: skip


class Database:
    """Answers as OSV does for what is in `holes`; remembers what it was asked about."""

    def __init__(self) -> None:
        self.holes: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = json.loads(self.rfile.read(int(self.headers["content-length"])))
                what = (query["package"]["name"], query["version"])
                outer.asked.append(what)
                body = json.dumps({"vulns": [hole(*what)]} if what in outer.holes else {}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/query"


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def audit(url: str, pins, **more: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"EBBTIDE_OSV_URL": url, "NO_PROXY": "127.0.0.1"} | more
    return subprocess.run(
        [sys.executable, SCRIPT, pins], capture_output=True, text=True, check=False, timeout=120, env=environment
    )


@pytest.fixture
def pins(tmp_path):
    file = tmp_path / "constraints.txt"
    file.write_text("numpy==2.3.4\nuvicorn==0.54.0\n")
    return file


def test_nothing_known_is_said_of_every_dependency(database, pins):
    database.holes = {CANARY}

    done = audit(database.url, pins)

    assert (done.returncode, done.stdout) == (0, "2 dependencies audited: no known vulnerabilities.\n"), done.stderr
    assert database.asked == [CANARY, ("numpy", "2.3.4"), ("uvicorn", "0.54.0")]


def test_a_known_hole_fails_the_build(database, pins):
    database.holes = {CANARY, ("uvicorn", "0.54.0")}

    done = audit(database.url, pins)

    assert done.returncode == 1
    assert "uvicorn 0.54.0: GHSA-test-test-test, fixed in 9.9" in done.stdout
    assert "h11" not in done.stdout


def test_a_database_that_knows_nothing_is_not_believed_and_a_release_fails(database, pins):
    done = audit(database.url, pins, EBBTIDE_AUDIT="require")

    assert done.returncode == 1
    assert "NOT AUDITED" in done.stderr
    assert "known vulnerabilities" not in done.stdout
    assert database.asked == [CANARY]  # and nobody asks it about a hundred others


def test_nobody_to_ask_is_said_and_does_not_fail_the_build(pins):
    done = audit(f"http://127.0.0.1:{free_port()}", pins)

    assert done.returncode == 0
    assert re.search(r"NOT AUDITED: .*Connection", done.stderr)


def test_lint_audits_what_is_pinned():
    makefile = (ROOT / "Makefile").read_text()
    lint = makefile[makefile.index("\nlint:") : makefile.index("\nunit:")]
    assert "deploy/audit.py" in lint
    assert 'PINS = Path(__file__).parents[1] / "constraints.txt"' in SCRIPT.read_text()
