"""News: processes at once, DNS answers later and bounded."""

from __future__ import annotations

from test_meter_dns import POINTER, V4, answer
from test_meter_process import fake_proc

from ebbtide.meter.dns import NameCache
from ebbtide.meter.flow import DnsNews, ProcessNews, address_bytes
from ebbtide.meter.inbox import Inbox
from ebbtide.meter.process import ProcessTable


def test_a_process_is_looked_at_while_it_lives(tmp_path):
    fake_proc(tmp_path, 7, "brief", 100)
    table = ProcessTable(tmp_path)
    Inbox(table, NameCache()).hear(ProcessNews(7, 1, b"brief"))
    for file in (tmp_path / "7").iterdir():
        file.unlink()
    assert table.find(7, b"brief").started == 100


def test_answers_wait_for_the_end_of_the_interval(tmp_path):
    names = NameCache()
    inbox = Inbox(ProcessTable(tmp_path), names)
    inbox.hear(DnsNews(5, answer("a.example", (POINTER, 1, V4))))
    assert names.name(5, address_bytes("192.0.2.1"), 0.0) == ""
    inbox.empty(0.0)
    assert names.name(5, address_bytes("192.0.2.1"), 0.0) == "a.example"


def test_a_flood_of_answers_is_bounded_and_counted(tmp_path):
    names = NameCache()
    inbox = Inbox(ProcessTable(tmp_path), names, limit=3)
    for _ in range(10):
        inbox.hear(DnsNews(5, b"junk"))
    inbox.empty(0.0)
    assert (names.unreadable, inbox.take_dropped(), inbox.take_dropped()) == (3, 7, 0)
