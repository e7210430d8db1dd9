"""The pages from the command line: `ui` over a file, `demo --serve` over the recording."""

import os
import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import brief_demo
from ebbtide.cli.ui import serve
from ebbtide.errors import ServiceError
from ebbtide.store.store import Store

#: Of the last hours judged, and of all.
FINDINGS = {36: 2, 0: 45}
SOURCE = Path(__file__).parents[2] / "src"


def started(*words, cwd, first=""):
    """The command in a process of its own, after the code `first`, and the address it prints."""
    code = f"{first}\nfrom ebbtide.cli.app import main; main()"
    paths = os.pathsep.join([str(SOURCE), str(Path(brief_demo.__file__).parent)])
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    for line in process.stdout:
        if found := re.search(r"Open (http://127\.0\.0\.1:\d+) in a browser", line):
            return process, found[1]
    raise AssertionError(process.stderr.read())


def ended(process):
    process.terminate()
    process.communicate(timeout=20)


def test_ui_serves_a_file_until_it_is_stopped(db, tmp_path):
    process, url = started("ui", "--db", db, "--port", "0", cwd=tmp_path)
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"{url}/api/v1/entities", timeout=10) as answer:
            assert b'"prod/shop/checkout/nginx"' in answer.read()
    finally:
        ended(process)
    Store.open(tmp_path / db, is_new_allowed=False).close()  # it has let go of the file


def test_the_demonstration_is_served_with_its_findings(tmp_path):
    process, url = started("demo", "--serve", "--port", "0", cwd=tmp_path, first="import brief_demo as b; b.shorten()")
    try:
        with urllib.request.urlopen(f"{url}/api/v1/findings?state=all&limit=100", timeout=10) as answer:
            assert answer.read().count(b'"headline"') == FINDINGS[brief_demo.HOURS]
    finally:
        ended(process)


def test_a_port_that_is_taken_says_so():
    with socket.socket() as taken, Store.open() as store:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ServiceError, match="is taken") as raised:
            serve(store, taken.getsockname()[1])
    assert "--port" in raised.value.hint
