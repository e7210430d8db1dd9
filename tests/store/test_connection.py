import duckdb
import pytest

from ebbtide.errors import DataError, ServiceError
from ebbtide.store.connection import connect, migrate, migrations, query


def test_migrations_are_numbered_without_gaps():
    assert [number for number, _, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_migrating_twice_changes_nothing():
    con = connect(None, memory_limit="256MiB", threads=1, is_new_allowed=True)
    before = con.execute("SELECT table_name FROM duckdb_tables() ORDER BY ALL").fetchall()

    migrate(con)

    assert con.execute("SELECT table_name FROM duckdb_tables() ORDER BY ALL").fetchall() == before
    assert len(con.execute("SELECT * FROM migrations").fetchall()) == len(migrations())


@pytest.mark.parametrize("released", [number for number, _, _ in migrations()])
def test_every_released_schema_can_be_brought_up_to_date(tmp_path, released):
    path = tmp_path / "old.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE migrations (version INTEGER NOT NULL, name VARCHAR NOT NULL)")
        for number, name, sql in migrations()[:released]:
            con.execute(sql)
            con.execute("INSERT INTO migrations VALUES (?, ?)", [number, name])

    con = connect(path, memory_limit="256MiB", threads=1, is_new_allowed=False)

    assert con.execute("SELECT max(version) FROM migrations").fetchall() == [(migrations()[-1][0],)]


def test_a_new_store_has_the_schema_that_its_migrations_make_one_by_one():
    new = connect(None, memory_limit="256MiB", threads=1, is_new_allowed=True)
    with duckdb.connect(":memory:") as old:
        old.execute("CREATE TABLE migrations (version INTEGER NOT NULL, name VARCHAR NOT NULL)")
        migrate(old)
        for what in (
            "table_name, column_name, column_index, data_type, is_nullable, column_default FROM duckdb_columns()",
            "sequence_name FROM duckdb_sequences()",
            "index_name FROM duckdb_indexes()",
            "* FROM migrations",
        ):
            rows = [con.execute(f"SELECT {what} ORDER BY ALL").fetchall() for con in (new, old)]
            assert rows[0] == rows[1] and (rows[0] or "indexes" in what), what


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "new.duckdb"
    con = connect(path, memory_limit="256MiB", threads=1, is_new_allowed=True)
    con.execute("INSERT INTO migrations VALUES (9999, 'later')")
    con.close()

    with pytest.raises(DataError, match="schema 9999") as error:
        connect(path, memory_limit="256MiB", threads=1, is_new_allowed=False)
    assert "upgrade" in error.value.hint


def test_a_directory_that_is_not_there_has_a_hint(tmp_path):
    with pytest.raises(ServiceError) as error:
        connect(tmp_path / "no" / "such.duckdb", memory_limit="256MiB", threads=1, is_new_allowed=True)
    assert error.value.hint


def test_every_query_says_what_it_is():
    for name in ("hours", "edges", "coverage", "contacts"):
        assert query(name).startswith("-- ")
