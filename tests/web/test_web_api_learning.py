"""How far entities are learned, masks, resets and plans, over the API."""

import pytest

from ebbtide.errors import UsageError
from ebbtide.finding.text import rfc3339
from ebbtide.web.api_learning import page_after
from web_fixtures import END_NS, TOKENS, site_of, tokens

PLAN = {
    "name": "move", "matchers": '{workload="checkout"}', "from": "2025-12-11T00:00:00Z", "to": "2025-12-13T00:00:00Z",
    "reason": "migration", "is_masked": True,
}  # fmt: skip


def test_learning_is_told_a_page_at_a_time(shop, client_of):
    client = client_of(site_of(shop))

    first = client.get("/api/v1/learning", params={"limit": 1}).json()
    second = client.get("/api/v1/learning", params={"limit": 1, "after": first["next"]}).json()
    early = client.get("/api/v1/learning", params={"at": rfc3339(END_NS - 14 * 86_400 * 10**9)}).json()

    expected = shop.learning(END_NS)
    paths = [one["entity"]["path"] for page in (first, second) for one in page["entities"]]
    assert paths == [str(one.entity) for one in expected] == ["prod/shop/cart/redis", "prod/shop/checkout/nginx"]
    assert (second["next"], first["entities"][0]["state"]) == (None, expected[0].state)
    assert {one["entity"]["process"]: one["days"] for one in early["entities"]}["nginx"] == 2


def test_a_reset_takes_the_place_of_the_one_before_and_is_given_back(shop, client_of):
    client = client_of(site_of(shop))
    for reason in ("first", "second"):
        answer = client.post("/api/v1/baseline/resets", json={"entity": "prod/shop/checkout", "reason": reason})
        assert (answer.status_code, [one["process"] for one in answer.json()["entities"]]) == (201, ["nginx"])

    [mask] = client.get("/api/v1/baseline/masks").json()["masks"]
    assert (mask["entity"]["path"], mask["to"]) == ("prod/shop/checkout/nginx", answer.json()["before"])
    assert mask["reason"].endswith("second")
    assert client.delete("/api/v1/baseline/resets", params={"entity": "prod/shop/checkout"}).json() == {"resets": 1}
    assert client.get("/api/v1/baseline/masks").json()["masks"] == []
    for entity, status in (("prod/shop", 404), ("a/b/c", 404), ("", 422)):
        assert client.delete("/api/v1/baseline/resets", params={"entity": entity}).status_code == status


def test_a_plan_marks_masks_and_is_forgotten(shop, client_of):
    client = client_of(site_of(shop))

    kept = client.post("/api/v1/plans", json=PLAN).json()

    assert (kept["covered"], kept["of_findings"], kept["owner"]) == (1, 1, "local")
    assert client.get("/api/v1/plans").json()["plans"] == [
        {name: kept[name] for name in ("name", "matchers", "from", "to", "owner", "reason", "is_masked")}
    ]
    assert client.get("/api/v1/baseline/masks").json()["masks"][0]["reason"] == "plan move"
    assert client.get("/api/v1/findings").json()["findings"] == []
    assert client.delete("/api/v1/plans/move").status_code == 204
    assert len(client.get("/api/v1/findings").json()["findings"]) == 1
    assert shop.masks() == []


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a/b"},
        {"matchers": "{"},
        {"matchers": '{destination="x"}'},
        {"from": "2025-12-13T00:00:00Z"},
        {"to": "soon"},
    ],
)
def test_a_plan_that_cannot_be_is_refused(shop, client_of, change):
    assert client_of(site_of(shop)).post("/api/v1/plans", json=PLAN | change).status_code == 422
    assert shop.plans.all() == []


def test_who_may_only_read_changes_nothing(shop, client_of):
    client = client_of(site_of(shop, tokens=tokens()))

    def ask(method: str, path: str, who: str, **kwargs: object) -> int:
        bearer = {"authorization": f"Bearer {TOKENS[who]}"}
        return client.request(method, f"/api/v1{path}", headers=bearer, **kwargs).status_code

    for path in ("/learning", "/baseline/masks", "/plans"):
        assert (ask("GET", path, "reader"), client.get(f"/api/v1{path}").status_code) == (200, 401)
    reset = {"entity": "prod/shop/checkout", "reason": "x"}
    for method, path, kwargs in (
        ("POST", "/plans", {"json": PLAN}), ("DELETE", "/plans/move", {}),
        ("POST", "/baseline/resets", {"json": reset}), ("DELETE", "/baseline/resets?entity=prod/shop/checkout", {}),
    ):  # fmt: skip
        assert ask(method, path, "reader", **kwargs) == 403
    assert (shop.masks(), shop.plans.all()) == ([], [])
    assert ask("POST", "/plans", "writer", json=PLAN) == 201
    assert shop.plans.all()[0].owner == "writer"


def test_a_page_begins_behind_its_cursor_whatever_came_or_went():
    rows = [("a", 1), ("a", 2), ("b", 1)]
    page, after = page_after(rows, lambda one: one, "", 1)
    assert page == [("a", 1)]
    assert page_after([("a", 0), ("a", 2), ("b", 1)], lambda one: one, after, 2) == ([("a", 2), ("b", 1)], None)
    for bad in ("x", "W10x", "WzFd", "bnVsbA"):
        with pytest.raises(UsageError, match="not one of ours"):
            page_after(rows, lambda one: one, bad, 1)
