import json

import pytest

from ebbtide.store.outbox import Message
from ebbtide.store.store import Store

CONFIG = """
sinks:
  file: {type: lines, path: out.jsonl}
  hook: {type: webhook, url: "https://127.0.0.1:1/x", bearer: "${env:HOOK_TOKEN}"}
"""


@pytest.fixture
def settings(ebbtide, tmp_path, monkeypatch):
    monkeypatch.setenv("HOOK_TOKEN", "very-secret-token")
    (tmp_path / "ebbtide.yaml").write_text(CONFIG)
    with Store.open(tmp_path / "ebbtide.duckdb") as store:
        outbox = store.outbox
        outbox.write([Message(f"u{n}", "opened", 10**18, "{}") for n in range(3)], "hook")
        outbox.give_up(outbox.head("hook", 2), 10**18, "refused", "https://h answered 400")
    return ebbtide


def test_sinks_are_listed_with_what_they_hold_and_no_secret(settings):
    ran = settings("sinks", "list", "--json")
    rows = {row["name"]: row for row in json.loads(ran.out)}
    assert rows["hook"]["target"] == "https://127.0.0.1:1"
    assert (rows["hook"]["waiting"], rows["hook"]["dead"], rows["file"]["waiting"]) == (1, 2, 0)
    assert "very-secret" not in ran.out + settings("sinks", "list").out


def test_a_test_arrives_marked_as_one(settings, tmp_path):
    ran = settings("sinks", "test", "file")
    assert ran.code == 0
    told = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(one["change"], one["test"]) for one in told] == [("opened", True), ("closed", True)]


def test_a_test_that_fails_says_why_and_what_to_do(settings):
    ran = settings("sinks", "test", "hook")
    assert ran.code == 4
    assert "a private address: refused" in ran.err
    assert "allow_private: true" in ran.err


def test_an_unknown_sink_names_those_there_are(settings):
    ran = settings("sinks", "test", "hok")
    assert ran.code == 3
    assert "known are file, hook" in ran.err


def test_dead_letters_are_listed_and_replayed(settings):
    listed = json.loads(settings("sinks", "dead", "--json").out)
    assert [(one["finding"], one["reason"]) for one in listed] == [("u0", "refused"), ("u1", "refused")]
    assert "1 delivery waits again" in settings("sinks", "replay", listed[1]["number"]).out
    assert "1 delivery waits again" in settings("sinks", "replay", "--sink", "hook").out
    assert "Nothing was given up" in settings("sinks", "dead").out


def test_replay_asks_what(settings):
    assert settings("sinks", "replay").code == 2


def test_mistakes_in_the_settings_are_told_with_their_line(settings, tmp_path):
    (tmp_path / "ebbtide.yaml").write_text("sinks:\n  a: {type: lines, path: x, pth: y}\n")
    ran = settings("sinks", "list")
    assert ran.code == 2
    assert "ebbtide.yaml:2: unknown key `pth` (did you mean `path`?)" in ran.err


def test_a_missing_settings_file_is_told(ebbtide):
    ran = ebbtide("sinks", "list")
    assert ran.code == 2
    assert "--config FILE" in ran.err
