"""The JSON API: what it answers, what it does, and that it keeps to its own document."""

import json
import time

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from typer.testing import CliRunner

from ebbtide.cli.app import app
from ebbtide.finding.filters import Filter, parse_matchers
from ebbtide.series import HOUR_NS
from ebbtide.web import answers, api, api_decisions  # noqa: F401 what is asked here
from ebbtide.web.app import make_app
from web_fixtures import CORRECTED, END_NS, STRANGER, many_findings, site_of

ENTITY = "/api/v1/entities/prod/shop/checkout/nginx"


@pytest.fixture
def client(shop, client_of):
    return client_of(site_of(shop))


@pytest.fixture
def reading(shop_read, client_of):
    return client_of(site_of(shop_read))


def test_a_list_tells_who_what_where_and_how_unusual(reading):
    [row] = reading.get("/api/v1/findings").json()["findings"]

    assert row["entity"]["path"] == "prod/shop/checkout/nginx"
    assert "nginx in shop/checkout sent" in row["headline"] and STRANGER in row["headline"]
    assert row["destinations"][0] == {
        "name": STRANGER, "kind": "external", "share": row["destinations"][0]["share"], "is_new": True,
    }  # fmt: skip
    assert row["deviations"] > 3


def test_a_finding_in_full(reading):
    uid = reading.get("/api/v1/findings").json()["findings"][0]["uid"]
    whole = reading.get(f"/api/v1/findings/{uid}").json()

    assert reading.get(f"/api/v1/findings/{uid[:8]}").json() == whole
    assert whole["finding"]["uid"] == uid and whole["finding"]["schema"] == 1
    assert f" --detection {CORRECTED} --at 2025-12-12T00:10:00Z" in whole["command"]
    assert "api.example.com" in whole["network_policy"] and STRANGER not in whole["network_policy"]
    assert whole["explanation"][0] == whole["finding"]["headline"]


def test_pages_of_many(shop, client):
    many_findings(shop, 120)
    seen, after = [], None
    while True:
        params = {"state": "all", "limit": 50} | ({"after": after} if after else {})
        answer = client.get("/api/v1/findings", params=params).json()
        seen += [one["uid"] for one in answer["findings"]]
        after = answer["next"]
        if after is None:
            break

    assert len(seen) == len(set(seen)) == 121


def test_a_verdict_is_kept_and_an_attack_is_not_learned_from(shop, client):
    uid = client.get("/api/v1/findings").json()["findings"][0]["uid"]
    said = client.post(f"/api/v1/findings/{uid}/verdict", json={"verdict": "attack", "note": "curl"}).json()

    assert (said["verdict"], said["author"], said["note"]) == ("attack", "local", "curl")
    assert client.get("/api/v1/findings").json()["findings"] == []
    assert client.get("/api/v1/findings?state=decided").json()["findings"][0]["verdict"] == "attack"
    assert len(shop.ask("SELECT * FROM masks")) == 1


def test_filters_are_previewed_added_listed_and_removed(client):
    matchers = {"matchers": '{workload="checkout"}'}
    preview = client.post("/api/v1/filters/preview", json=matchers).json()
    added = client.post("/api/v1/filters", json=matchers | {"name": "known", "reason": "backup", "expires": "7d"})

    assert (preview["covered"], preview["of"], preview["is_wide"]) == (1, 1, True)
    assert added.status_code == 201
    [listed] = client.get("/api/v1/filters").json()["filters"]
    assert listed == added.json()
    assert (listed["owner"], listed["hits"], listed["covered"], listed["is_active"]) == ("local", 1, 1, True)
    assert client.get("/api/v1/findings?state=hidden").json()["findings"][0]["hidden"] is True
    assert client.delete("/api/v1/filters/known").status_code == 204
    assert client.get("/api/v1/findings?state=hidden").json()["findings"] == []
    assert client.delete("/api/v1/filters/known").status_code == 404


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"matchers": '{wrkload="x"}'}, "did you mean `workload`?"),
        ({"matchers": '{process=~".*"}'}, "name at least one value"),
        ({"expires": "soon"}, "never"),
        ({"name": "../x"}, ""),
    ],
)
def test_a_filter_that_cannot_be_is_refused_with_a_hint(client, changes, told):
    wanted = {"name": "n", "matchers": '{process="x"}', "reason": "r", "expires": "7d"} | changes
    refused = client.post("/api/v1/filters", json=wanted)

    assert refused.status_code == 422
    assert told in refused.json()["hint"]


def test_filters_of_files_are_shown_and_not_touched(shop, client_of):
    fixed = Filter("platform", parse_matchers('{process="restic"}'), "ops", "backups", 0)
    client = client_of(site_of(shop, fixed_filters=(fixed,)))

    [listed] = client.get("/api/v1/filters").json()["filters"]
    assert listed["is_fixed"] and listed["name"] == "platform"
    assert client.delete("/api/v1/filters/platform").status_code == 422


def test_an_entity_with_its_series_week_and_destinations(reading):
    entity = reading.get(ENTITY).json()
    series = reading.get(f"{ENTITY}/series").json()
    week = reading.get(f"{ENTITY}/week").json()
    known = reading.get(f"{ENTITY}/destinations").json()["destinations"]

    assert entity["metrics"] == ["tcp.bytes"]
    assert entity["learning"]["state"] == "learned"
    assert entity["findings"] == 1
    assert len(series["time"]) == len(series["sent"]) == len(series["lower"]) == 720
    assert series["unit"] == "bytes"
    assert series["findings"][0][0] == reading.get("/api/v1/findings").json()["findings"][0]["uid"]
    assert [len(row) for row in week["mean"]] == [24] * 7
    assert [one["name"] for one in known][:2] == ["api.example.com", STRANGER]
    assert sum(one["share"] for one in known) == pytest.approx(1)
    assert reading.get("/api/v1/entities?q=nginx").json()["total"] == 1


def test_entities_by_name_come_in_pages(reading):
    def asked(**params):
        return reading.get("/api/v1/entities", params=params)

    first = asked(sort="name", limit=1).json()
    second = asked(sort="name", limit=1, after=first["next"]).json()
    [nginx] = asked(q='{process!="redis"}').json()["entities"]

    assert [one["entity"]["process"] for page in (first, second) for one in page["entities"]] == ["redis", "nginx"]
    assert (second["next"], second["entities"]) == (None, [nginx])
    assert (nginx["state"], nginx["first"]) == ("mature", "2025-11-26T00:00:00Z")
    assert 60e6 * 6 < nginx["sent_hour"] < nginx["sent_day"] < nginx["sent"]
    assert asked(q='{destination="x"}').status_code == 422
    assert asked(sort="name", after="x").status_code == 422


def test_what_is_not_there_is_404_and_what_cannot_be_read_422(reading):
    assert reading.get("/api/v1/findings/00000000").status_code == 404
    assert reading.get("/api/v1/entities/a/b/c/d").json()["message"].startswith("there is no entity")
    assert reading.get(f"{ENTITY}/series?metric=nope").status_code == 422
    assert reading.get("/api/v1/findings?after=nonsense").json()["hint"] == "begin at the first page"
    assert reading.get("/api/v1/findings?q={x").status_code == 422
    assert reading.get("/api/v1/findings?limit=0").json()["problems"][0]["where"] == "query.limit"
    assert reading.get("/api/v1/nothing").json()["message"] == "there is nothing here"
    assert reading.delete("/api/v1/findings").status_code == 405


def test_a_backtest_says_what_the_command_line_says(shop, shop_file, client_of):
    times = {"from": "2025-12-11T00:00:00Z", "to": "2025-12-12T00:10:00Z"}
    client = client_of(site_of(shop))
    started = client.post("/api/v1/backtests", json={"detection": CORRECTED, **times})
    assert started.status_code == 202
    job = finished(client, started.json()["id"])

    words = ["backtest", "--db", str(shop_file), "-d", CORRECTED, "--json"]
    ran = CliRunner().invoke(app, [*words, "--from", times["from"], "--to", times["to"]])

    [said] = json.loads(ran.stdout)["backtests"]
    assert job["before"] == job["after"] == said
    assert said["findings"] == 1
    assert job["appeared"] == job["disappeared"] == []


def test_a_changed_option_makes_a_finding_disappear(reading):
    wanted = {"detection": CORRECTED, "options": {"k": 100_000}, "from": "2025-12-11T00:00:00Z"}
    job = finished(reading, reading.post("/api/v1/backtests", json=wanted).json()["id"])

    assert (job["before"]["findings"], job["after"]["findings"]) == (1, 0)
    assert len(job["disappeared"]) == 1 and STRANGER in job["disappeared"][0]
    assert job["ticks"] == job["ticks_done"] == 2 * job["after"]["ticks"]


def test_a_backtest_that_cannot_be_is_refused(reading):
    for wanted, told in (
        ({"detection": "nope"}, "there is no detection"),
        ({"detection": CORRECTED, "options": {"k": -1}}, "the option 'k'"),
        ({"detection": CORRECTED, "options": {"q": 1}}, "the option 'q'"),
        ({"detection": CORRECTED, "every": "1s"}, "evaluations are too many"),
        ({"detection": CORRECTED, "from": "2025-12-11T00:00:00Z", "to": "2025-12-10T00:00:00Z"}, "none at all"),
    ):
        assert told in reading.post("/api/v1/backtests", json=wanted).json()["message"]


def finished(client, job_id):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job = client.get(f"/api/v1/backtests/{job_id}").json()
        if job["state"] not in ("waiting", "running"):
            assert job["state"] == "done", job["error"]
            return job
        time.sleep(0.02)
    raise AssertionError("the backtest did not end")


def test_health_names_the_source(reading):
    health = reading.get("/api/v1/health").json()

    assert health["sources"][0]["cluster"] == "prod" and health["sources"][0]["state"] == "live"
    assert health["is_ready"] is True
    budget = {one["detection"]: one for one in health["budget"]}
    assert budget["joined"]["budget"] == 10 and budget["joined"]["is_over"] in (True, False)
    known = {one["detection"]["id"]: one for one in reading.get("/api/v1/detections").json()["detections"]}
    assert known[CORRECTED]["options_schema"]["properties"]["k"]


def test_the_document_is_valid_and_names_every_route(reading):
    document = reading.get("/api/v1/openapi.json").json()

    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) >= {
        "/api/v1/findings",
        "/api/v1/findings/{uid}/verdict",
        "/api/v1/backtests/{job_id}",
    }
    assert all("422" in method["responses"] for path in document["paths"].values() for method in path.values())


def test_no_request_that_changes_something_breaks_the_server(shop):
    """Bounded: legal bodies of every route that writes, in a store of its own."""
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", make_app(site_of(shop, hosts=("testserver",))))
    uid = shop.findings.all()[0].finding.uid
    for result in schema.include(method=["POST", "DELETE"]).get_all_operations():
        operation = result.ok()

        @given(case=operation.as_strategy())
        @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        def keeps(case):
            if "uid" in (case.path_parameters or {}):
                case.path_parameters["uid"] = uid
            if isinstance(case.body, dict) and "detection" in case.body:
                case.body["detection"] = CORRECTED
                case.body["to"] = case.body["from"] = "2025-12-11T00:00:00Z"
            case.validate_response(case.call(), checks=(not_a_server_error, response_schema_conformance))

        keeps()


@pytest.mark.parametrize("text", ["\ud800", "\x00", "\u202e", "x" * 2_000])
def test_odd_notes_are_kept_or_refused(client, text):
    uid = client.get("/api/v1/findings").json()["findings"][0]["uid"]
    body = json.dumps({"verdict": "unsure", "note": text})

    answer = client.post(f"/api/v1/findings/{uid}/verdict", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == (422 if text == "\ud800" else 200)


@pytest.mark.parametrize(
    "path",
    [
        "/findings?q=" + "(" * 3000,
        '/findings?q={process=~"(a{9}){9}"}',
        "/findings?from=9999-12-31T23:59:59Z&to=0001-01-01T00:00:00Z",
        "/findings?entity=///////&incident=%00&verdict=x&cluster=%00",
        "/findings?after=" + "A" * 400,
        "/findings/news?n=1&opened=99999999999999999999&last=1",
        "/findings/news",
        "/entities/%00/%F0/..%2F/x",
        "/entities?skip=999999999999&q=%00",
        "/tuning?detection=nope&job=nope",
        "/tuning/job?job=",
        "/filters?matchers=" + "{" * 3000,
        "/login?next=//evil.example",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/../app.py",
    ],
)
def test_no_address_breaks_the_server(reading, path):
    assert reading.get(path).status_code in (200, 404, 422)


@pytest.mark.parametrize("mode", GenerationMode)
def test_answers_keep_to_the_document(shop_read, mode):
    """Bounded: a few cases of every route that reads, of legal parameters and of others."""
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", make_app(site_of(shop_read, hosts=("testserver",))))
    checked = 0
    for result in schema.include(method="GET").get_all_operations():
        operation = result.ok()
        if mode is GenerationMode.NEGATIVE and not operation.query:
            continue
        checked += 1

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        def keeps(case):
            case.validate_response(
                case.call(), checks=(not_a_server_error, content_type_conformance, response_schema_conformance)
            )

        keeps()
    assert checked >= 4


def test_the_time_of_the_site_is_told_by_whoever_serves_it(shop, client_of):
    client = client_of(site_of(shop, now=lambda: END_NS + 7 * HOUR_NS))
    uid = client.get("/api/v1/findings").json()["findings"][0]["uid"]

    said = client.post(f"/api/v1/findings/{uid}/verdict", json={"verdict": "benign"}).json()

    assert said["at"] == "2025-12-12T07:00:00Z"
