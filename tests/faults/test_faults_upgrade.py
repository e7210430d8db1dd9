"""A file of the first schema becomes one of today, with everything that was in it."""

from pathlib import Path

import duckdb
from finding_samples import sample
from writer import numbered_batch

from build import NGINX
from ebbtide.finding.filters import Filter, parse_matchers
from ebbtide.finding.lifecycle import Episode
from ebbtide.series import HOUR_NS
from ebbtide.store.check import check
from ebbtide.store.connection import migrations
from ebbtide.store.store import Store

BATCHES = 40


def as_first(now: Path, then: Path) -> None:
    """Write what a store of today holds into a file of the first schema, as far as that one knows it."""
    number, name, sql = migrations()[0]
    with duckdb.connect(str(then)) as con:
        con.execute(sql)
        con.execute("CREATE TABLE migrations (version INTEGER NOT NULL, name VARCHAR NOT NULL)")
        con.execute("INSERT INTO migrations VALUES (?, ?)", [number, name])
        con.execute(f"ATTACH '{now}' AS now (READ_ONLY)")
        tables = [
            row[0]
            for row in con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name <> 'now'").fetchall()
        ]
        for table in tables:
            if table == "migrations":
                continue
            known = con.execute(f"SELECT * FROM {table} LIMIT 0").description
            names = ", ".join(column[0] for column in known or ())
            con.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM now.{table}")
        for (segment,) in con.execute("SELECT segment FROM segments").fetchall():
            con.execute(f"CREATE TABLE samples_{segment} AS FROM now.samples_{segment}")


def hours(store: Store) -> list[tuple[object, ...]]:
    return store.ask("SELECT * FROM hours ORDER BY ALL")


def test_a_file_of_the_first_schema_is_brought_up_to_date_with_all_it_holds(tmp_path, record_property):
    now, then = tmp_path / "now.duckdb", tmp_path / "then.duckdb"
    finding = sample()
    with Store.open(now) as store:
        origin = store.begin("live", "first")
        for number in range(BATCHES):
            store.append(numbered_batch(number), origin)
        store.roll_up(BATCHES * 600 // 3600 * HOUR_NS)
        store.findings.save(Episode(finding, finding.count))
        store.filters.save(Filter("f", parse_matchers('{process="x"}'), "ann", "why", 1, None))
        store.mask(NGINX, 0, 10, "ours")
        totals, derived = store.totals(), hours(store)
    as_first(now, then)

    with Store.open(then, is_new_allowed=False) as store:
        assert [row[0] for row in store.ask("SELECT version FROM migrations ORDER BY 1")] == [
            number for number, _, _ in migrations()
        ]
        assert store.totals() == totals
        assert hours(store) == derived
        [kept] = store.findings.all()
        assert (kept.finding, kept.peak_count, kept.closed_ns) == (finding, finding.count, None)
        assert [one.id for one in store.filters.all()] == ["f"]
        assert store.masks() == [(NGINX, 0, 10, "ours")]
        store.append(numbered_batch(0), origin)  # known already
        store.append(numbered_batch(BATCHES), origin)
        store.roll_up()
        assert check(store) == []
        grown = store.totals()
    with Store.open(now) as store:
        store.append(numbered_batch(BATCHES), origin)
        assert store.totals() == grown
    record_property(
        "figure",
        f"upgrade from the first schema ({len(migrations()) - 1} migrations) "
        f"| {BATCHES * 50:,} samples, {len(derived)} derived hours, a finding, a filter, a mask "
        f"| sums of {len(totals)} series and all the rest equal; it goes on",
    )
