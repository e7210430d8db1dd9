"""Rows that are inserted together arrive whole, in order, with their types."""

import duckdb
import pytest

from ebbtide.store.bulk import insert


@pytest.mark.parametrize("count", [0, 1, 500, 501, 1200])
def test_rows_arrive_in_order_with_numbers_of_a_sequence(count):
    rows = [(f"\u00fc'{at}", None if at % 2 else at) for at in range(count)]
    with duckdb.connect() as con:
        con.execute("CREATE SEQUENCE numbers; CREATE TABLE t (number BIGINT, name VARCHAR, value BIGINT)")
        insert(con, "t", ("nextval('numbers')", "VARCHAR", "BIGINT"), iter(rows))
        found = con.execute("SELECT * FROM t ORDER BY number").fetchall()
    assert found == [(at + 1, *row) for at, row in enumerate(rows)]


def test_a_column_without_any_value_keeps_its_type():
    with duckdb.connect() as con:
        con.execute("CREATE TABLE t (name VARCHAR, value DOUBLE, is_so BOOLEAN)")
        insert(con, "t (is_so, name, value)", ("BOOLEAN", "VARCHAR", "DOUBLE"), [(True, "a", None), (False, "b", None)])
        assert con.execute("SELECT * FROM t ORDER BY name").fetchall() == [("a", None, True), ("b", None, False)]
