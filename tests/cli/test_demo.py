def test_demo_prints_findings_beside_labels_and_writes_the_page(ebbtide, tmp_path):
    ran = ebbtide("demo", "--out", "made")

    assert ran.code == 0
    assert "scaled units, never bytes" in ran.out
    for word in ("found", "missed", "extra", "upstream", "corrected", "machine-3-3"):
        assert word in ran.out
    assert (tmp_path / "made" / "report.html").stat().st_size > 100_000


def test_what_it_prints_next_works(ebbtide):
    last = ebbtide("demo").out.splitlines()[-1]

    ran = ebbtide(*last.removeprefix("Next: ebbtide ").split())

    assert ran.code == 0
    assert "scaled units" in ran.out
