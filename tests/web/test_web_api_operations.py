"""Findings as documents, and a copy of a store in use."""

from ebbtide.finding.form import to_object
from ebbtide.store.store import Store
from ebbtide.web import api_operations
from web_fixtures import TOKENS, many_findings, site_of, tokens


def bearing(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {TOKENS[name]}"}


def test_documents_come_in_pages_oldest_first_and_all_of_them(shop, client_of):
    many_findings(shop, 4)
    client = client_of(site_of(shop))

    pages, after = [], ""
    while after is not None:
        answer = client.get("/api/v1/documents", params={"after": after, "limit": 2}).json()
        pages.append(answer["documents"])
        after = answer["next"]

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [one for page in pages for one in page] == [to_object(one.finding) for one in shop.findings.all()]


def test_a_cursor_of_somebody_else_is_refused(shop, client_of):
    for after in ("x", "1.", "1.u; DROP", "99999999999999999999.u"):
        assert client_of(site_of(shop)).get("/api/v1/documents", params={"after": after}).status_code == 422


def test_a_copy_is_for_administrators_and_opens(shop, client_of, tmp_path):
    client = client_of(site_of(shop, tokens=tokens()))
    assert client.post("/api/v1/backup").status_code == 401
    assert client.post("/api/v1/backup", headers=bearing("writer")).status_code == 403

    answer = client.post("/api/v1/backup", headers=bearing("admin"))

    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    (tmp_path / "copy.duckdb").write_bytes(answer.content)
    with Store.open(tmp_path / "copy.duckdb", is_new_allowed=False) as copy:
        assert copy.totals() == shop.totals()
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("ebbtide-backup")] == []


def test_one_copy_is_made_at_a_time(shop, client_of):
    with api_operations._COPYING:
        answer = client_of(site_of(shop)).post("/api/v1/backup")

    assert (answer.status_code, answer.json()["message"]) == (503, "a backup is being made already")
