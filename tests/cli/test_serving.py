from ebbtide.store.store import Store


def test_a_backup_can_be_restored(ebbtide, db, tmp_path):
    assert ebbtide("backup", "--db", db, "--to", "copy.duckdb").code == 0
    with Store.open(tmp_path / db) as store:
        totals = store.totals()
        store.mask(store.identity.entities[0], 0, 1, "after the backup")

    refused = ebbtide("restore", "copy.duckdb", "--db", db)
    assert (refused.code, "--replace" in refused.err) == (3, True)
    assert ebbtide("restore", "copy.duckdb", "--db", db, "--replace").code == 0

    with Store.open(tmp_path / db) as store:
        assert store.totals() == totals
        assert store.ask("SELECT count(*) FROM masks") == [(0,)]


def test_what_is_no_backup_is_not_restored_over_a_store(ebbtide, db, tmp_path):
    before = (tmp_path / db).read_bytes()
    (tmp_path / "no.duckdb").write_bytes(b"x" * 10_000)

    refused = ebbtide("restore", "no.duckdb", "--db", db, "--replace")
    assert refused.code == 3
    assert "error: no.duckdb is not an Ebbtide store" in refused.err
    assert "`ebbtide backup` wrote" in refused.err
    absent = ebbtide("restore", "absent.duckdb", "--db", db)
    assert (absent.code, "hint:" in absent.err) == (3, True)
    assert (tmp_path / db).read_bytes() == before
    assert not list(tmp_path.glob("*.partial*"))


def test_a_backup_overwrites_nothing(ebbtide, db):
    assert ebbtide("backup", "--db", db, "--to", db).code == 3


def test_serve_says_what_is_wrong_with_its_settings(ebbtide, tmp_path):
    assert ebbtide("serve").code == 2
    (tmp_path / "ebbtide.yaml").write_text("stoer: {}\n")

    ran = ebbtide("serve")

    assert ran.code == 2
    assert "ebbtide.yaml:1: unknown key `stoer` (did you mean `store`?)" in ran.err
