import dataclasses

import duckdb
import pytest
from finding_samples import sample

from ebbtide.finding.form import to_json
from ebbtide.finding.lifecycle import Episode
from ebbtide.finding.verdict import Judgement, Verdict
from ebbtide.store.connection import migrate, migrations
from ebbtide.store.store import Store


def episode(uid: str, opened_ns: int = 5, **changes: object) -> Episode:
    return dataclasses.replace(Episode(sample(uid=uid, opened_ns=opened_ns), 3), **changes)


def test_an_episode_is_kept_once_in_its_last_version():
    last = episode("ab1", 5, reopened=2, peak_count=7, closed_ns=99)
    with Store.open() as store:
        store.findings.save(episode("ab1", 5))
        store.findings.save(episode("cd2", 1))
        store.findings.save(last)

        assert store.findings.all() == [episode("cd2", 1), last]
        assert store.findings.find("ab") == [last]
        assert store.findings.find("x") == []


def test_a_prefix_is_no_pattern():
    with Store.open() as store:
        store.findings.save(episode("ab1"))

        assert store.findings.find("%") == []
        assert len(store.findings.find("")) == 1


def test_what_ended_long_ago_is_not_current():
    with Store.open() as store:
        store.findings.save(episode("open"))
        store.findings.save(episode("recent", closed_ns=50))
        store.findings.save(episode("old", closed_ns=10))

        assert [one.finding.uid for one in store.findings.current(10)] == ["open", "recent"]


def test_the_last_verdict_counts_and_earlier_ones_stay():
    first = Judgement("ab1", Verdict.ATTACK, "ann", "curl to a new place", 10)
    second = Judgement("ab1", Verdict.BENIGN, "bob", "", 10)
    with Store.open() as store:
        store.findings.judge(first)
        store.findings.judge(second)

        assert store.findings.judgements("ab1") == [first, second]
        assert store.findings.verdicts() == {"ab1": Verdict.BENIGN}


def test_findings_of_the_first_schema_are_carried_over():
    finding = sample(uid="ab1", hidden_by=("known",))
    con = duckdb.connect()
    version, name, sql = migrations()[0]
    con.execute("CREATE TABLE migrations (version INTEGER NOT NULL, name VARCHAR NOT NULL)")
    con.execute(sql)
    con.execute("INSERT INTO migrations VALUES (?, ?)", [version, name])
    con.execute("INSERT INTO findings VALUES (?, ?, ?, ?, ?)", ["ab1", finding.detection_id, 1, 2, to_json(finding)])

    migrate(con)

    kept = con.execute("SELECT peak_count, risk, hidden, workload, closed_ns, reopened FROM findings").fetchall()
    assert kept == [(finding.count, pytest.approx(finding.risk.score), True, finding.entity.workload, None, 0)]


def test_marks_are_read_without_the_findings_and_current_ones_by_detection():
    hidden = dataclasses.replace(episode("b", 7), finding=sample(uid="b", opened_ns=7, hidden_by=("x", "plan:y")))
    with Store.open() as store:
        store.findings.save(episode("a", 3))
        store.findings.save(hidden)
        store.findings.save(episode("c", 9))

        assert store.findings.marks(7) == [("x", "plan:y"), ()]
        assert store.findings.current(0, "other") == []
        assert len(store.findings.current(0, hidden.finding.detection_id)) == 3
