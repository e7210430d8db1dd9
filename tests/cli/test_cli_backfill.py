"""The commands as an operator types them."""

import json
import re
import time

import pytest

from metrics_servers import PODS, Scripted, matrix, say

HOUR = int(time.time()) // 3600 - 2
GOOD = matrix(HOUR, {PODS[0]: [1, 5, *range(6, 60)]})


@pytest.fixture
def server():
    """Not VictoriaMetrics; then an hour of one counter for the first of three metric names at each hour asked."""
    with Scripted(say(404), say(200, GOOD)) as one:
        yield one


def prometheus(ebbtide, server, *more):
    start = f"{HOUR * 3600}"
    return ebbtide(
        "backfill", "prometheus", server.url, "--profile", "coroot", "--from", start, "--to", HOUR * 3600 + 3600, *more
    )


def test_prometheus_tells_what_became_of_every_point(ebbtide, server):
    ran = prometheus(ebbtide, server, "--match", 'namespace="shop"')
    assert ran.code == 0, ran.err
    assert "1 hours" in ran.out and re.search(r"stored +54", ran.out), ran.out
    assert "not judged yet" in ran.out
    assert "namespace%3D%22shop%22" in server.asked[1]

    again = json.loads(prometheus(ebbtide, server, "--match", 'namespace="shop"', "--json").out)
    assert (again["hours"], again["hours_done_before"], again["received"]) == (0, 1, 0)
    more = json.loads(prometheus(ebbtide, server, "--match", 'namespace="shop"', "--json", "--again").out)
    assert (more["stored"], more["removed"]) == (54, 54)


def test_mistakes_have_a_hint_and_a_code(ebbtide, server, tmp_path):
    (tmp_path / "token").write_text("abc\n")
    for words, code in (
        (("prometheus", "ftp://x", "--profile", "coroot"), 2),
        (("prometheus", server.url, "--profile", "none"), 3),
        (("prometheus", "http://prometheus.example:9", "--profile", "coroot", "--token-file", "token"), 2),
        (("prometheus", server.url, "--profile", "coroot", "--token-file", "gone"), 2),
        (("prometheus", server.url, "--profile", "coroot", "--from", "5m"), 2),
        (("files", "gone"), 2),
    ):
        ran = ebbtide("backfill", *words)
        assert ran.code == code and "error:" in ran.err, ran


def test_the_token_comes_from_a_file_or_the_environment(ebbtide, server, tmp_path, monkeypatch):
    (tmp_path / "token").write_text("abc\n")
    prometheus(ebbtide, server, "--token-file", "token")
    monkeypatch.setenv("EBBTIDE_BACKFILL_TOKEN", "def")
    prometheus(ebbtide, server, "--again")
    assert server.headers[0] == "Bearer abc" and server.headers[-1] == "Bearer def"


def test_files_of_the_collector(ebbtide, recorded):
    ran = ebbtide("backfill", "files", recorded, "--json")
    first = json.loads(ran.out)
    assert ran.code == 0 and first["hours"] == 49 and first["failed"] == []
    again = json.loads(ebbtide("backfill", "files", recorded, "--json").out)
    assert again["removed"] == again["stored"] == first["stored"]
    bad = recorded.with_name("bad.jsonl.gz")
    bad.write_bytes(b"\x1f\x8b no")
    assert ebbtide("backfill", "files", bad).code == 3
