from brief_demo import shorten


def test_demo_prints_findings_beside_labels_writes_the_page_and_what_it_says_next_works(ebbtide, tmp_path, monkeypatch):
    shorten(monkeypatch.setattr)

    ran = ebbtide("demo", "--out", "made")

    assert ran.code == 0
    assert "scaled units, never bytes" in ran.out
    for word in ("found", "missed", "extra", "upstream", "corrected", "machine-3-3", "attack on"):
        assert word in ran.out
    assert (tmp_path / "made" / "report.html").stat().st_size > 100_000

    explained = ebbtide(*ran.out.splitlines()[-1].removeprefix("Next: ebbtide ").split())
    assert explained.code == 0
    assert "scaled units" in explained.out
