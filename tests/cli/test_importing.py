import gzip
import json

from ebbtide.cli.importing import COMMIT_SAMPLES
from ebbtide.cli.options import DEFAULT_DB
from ebbtide.series import HOUR_NS
from ebbtide.store.retention import Retention
from ebbtide.store.store import Store


def test_import_says_what_became_of_every_point(ebbtide, recorded):
    ran = ebbtide("import", recorded)

    assert ran.code == 0
    assert "stored" in ran.out and "5,780" in ran.out
    assert "other_metric" in ran.out and "48" in ran.out
    assert "ebbtide detect" in ran.out


def test_importing_twice_changes_nothing(ebbtide, recorded):
    first = json.loads(ebbtide("import", recorded, "--json").out)
    again = json.loads(ebbtide("import", recorded, "--json").out)

    assert first["stored"] == 5780
    assert (again["stored"], again["dropped"]) == (0, {"duplicate": 5780})
    assert first["received"] == first["stored"] + sum(first["ignored"].values())


def test_what_falls_into_hours_of_which_only_summaries_are_left_is_left_out_and_told(ebbtide, recorded):
    ebbtide("import", recorded)
    with Store.open(DEFAULT_DB) as store:
        dropped = store.retain(store.reading.span()[1], Retention(samples_ns=8 * HOUR_NS))["samples"]
        before = store.ask("SELECT hour, sent FROM hours ORDER BY ALL")

    ran = ebbtide("import", recorded)

    assert ran.code == 0
    assert dropped > 4000
    assert f"{dropped:,} samples were left out (settled)" in ran.err
    assert "backfill files --replace-live" in ran.err
    with Store.open(DEFAULT_DB) as store:
        assert store.ask("SELECT hour, sent FROM hours ORDER BY ALL") == before


def test_a_bad_line_costs_only_itself(ebbtide, recorded, tmp_path):
    lines = gzip.decompress(recorded.read_bytes()).splitlines()
    lines[3] = lines[3][:1000]
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(b"\n".join(lines) + b"\n\xff\xfe garbage")

    ran = ebbtide("import", torn, "--json")

    done = json.loads(ran.out)
    assert done["stored"] == 5780 - 120
    assert done["rejected"]["bad_line"] == 2
    assert "torn.jsonl:4" in ran.err


def test_what_is_not_there_is_usage_with_a_hint(ebbtide):
    ran = ebbtide("import", "absent.jsonl")

    assert ran.code == 2
    assert "hint:" in ran.err


def test_a_file_of_no_known_format_is_data(ebbtide, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5000))

    ran = ebbtide("import", path)

    assert ran.code == 3
    assert "hint:" in ran.err


def test_points_that_are_not_ours_are_said(ebbtide, recorded):
    ran = ebbtide("import", recorded, "--profile", "coroot")

    assert "does --profile fit" in ran.err


def test_an_unverified_preset_says_so_and_an_unknown_one_is_refused(ebbtide, recorded):
    assert ebbtide("import", recorded, "--profile", "nosuch").code in (2, 3)


def test_check_finds_a_sound_store_sound(ebbtide, recorded):
    ebbtide("import", recorded)

    ran = ebbtide("check")

    assert ran.code == 0
    assert "is sound" in ran.out


def test_check_without_a_store_is_data(ebbtide):
    ran = ebbtide("check", "--db", "absent.duckdb")

    assert ran.code == 3
    assert "ebbtide import" in ran.err


def test_a_commit_is_large_enough_to_pay():
    assert COMMIT_SAMPLES >= 30_000
