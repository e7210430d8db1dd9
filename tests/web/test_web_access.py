"""Who may do what, and what another site, another host or a large body cannot do."""

import asyncio
import re

import pytest

from apart import run_apart
from ebbtide.errors import ConfigError
from ebbtide.finding.notice import INCIDENT, SILENCE, notice
from ebbtide.finding.risk import Risk
from ebbtide.series import Entity
from ebbtide.store.notices import Notice
from ebbtide.web.access import COOKIE, local_path
from ebbtide.web.guard import HEADERS, Guard
from ebbtide.web.refusal import refusal_of
from ebbtide.web.site import Scope, Token, new_token
from web_fixtures import TOKENS, site_of, tokens

JSON = {"accept": "application/json"}


@pytest.fixture
def site(shop):
    return site_of(shop, tokens=tokens())


@pytest.fixture
def client(site, client_of):
    return client_of(site, follow_redirects=False)


def bearer(name):
    return {"authorization": f"Bearer {TOKENS[name]}"}


def log_in(client, name):
    answer = client.post("/login", data={"token": TOKENS[name], "next": "/health"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/health")


def csrf_of(client):
    return re.search(r'name="csrf" value="([^"]+)"', client.get("/filters").text)[1]


def uid_of(site):
    return site.store.findings.all()[0].finding.uid


@pytest.mark.parametrize("path", ["findings", "entities", "filters", "detections", "backtests", "health"])
def test_the_api_needs_a_token(client, path):
    refused = client.get(f"/api/v1/{path}")

    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert refused.json()["hint"]
    assert client.get(f"/api/v1/{path}", headers={"authorization": "Bearer " + "x" * 40}).status_code == 401
    assert client.get(f"/api/v1/{path}", headers={"authorization": "Basic abc"}).status_code == 401
    assert client.get(f"/api/v1/{path}", headers=bearer("reader")).status_code == 200


@pytest.mark.parametrize(("name", "status"), [("reader", 403), ("writer", 200), ("admin", 200)])
def test_deciding_needs_the_scope_write(client, site, name, status):
    answer = client.post(f"/api/v1/findings/{uid_of(site)}/verdict", json={"verdict": "attack"}, headers=bearer(name))

    assert answer.status_code == status
    assert len(site.store.findings.judgements(uid_of(site))) == (status == 200)


def test_pages_lead_to_the_log_in_and_back(client):
    sent = client.get("/findings/abc?metric=tcp.bytes")

    assert sent.status_code == 303
    assert sent.headers["location"] == "/login?next=%2Ffindings%2Fabc%3Fmetric%3Dtcp.bytes"
    assert client.get("/filters", headers={"hx-request": "true"}).headers["hx-redirect"].startswith("/login")
    wrong = client.post("/login", data={"token": "nonsense"})
    assert wrong.status_code == 401 and "not known" in wrong.text
    log_in(client, "reader")
    assert client.get("/findings").status_code == 200
    assert client.get("/api/v1/findings").status_code == 200  # charts of pages read the API
    assert client.post("/logout").status_code == 303
    assert client.get("/findings").status_code == 303


def test_the_cookie_is_signed_and_out_of_reach_of_scripts(client, site, client_of):
    answer = client.post("/login", data={"token": TOKENS["writer"]})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie
    value = client.cookies[COOKIE]
    client.cookies.clear()
    assert client.get("/findings", headers={"cookie": f"{COOKIE}={value}"}).status_code == 200
    assert client.get("/findings", headers={"cookie": f"{COOKIE}={value[:-3]}xxx"}).status_code == 303
    https = client_of(site_of(site.store, tokens=tokens(), public_url="https://ebbtide.example"))
    assert (
        "Secure" in https.post("/login", data={"token": TOKENS["writer"]}, follow_redirects=False).headers["set-cookie"]
    )


def test_a_token_that_is_taken_away_ends_its_sessions(client, site, client_of):
    log_in(client, "writer")
    later = client_of(site_of(site.store, tokens=tokens()[:1]), follow_redirects=False)
    later.cookies = client.cookies

    assert later.get("/findings").status_code == 303


def test_a_form_needs_the_sessions_own_value(client, site):
    log_in(client, "writer")
    fields = {"uid": uid_of(site), "verdict": "attack", "next": "//evil.example"}

    assert client.post("/verdicts", data=fields).status_code == 403
    assert client.post("/verdicts", data=fields | {"csrf": "x"}).status_code == 403
    done = client.post("/verdicts", data=fields | {"csrf": csrf_of(client)})
    assert (done.status_code, done.headers["location"]) == (303, "/findings")


def test_a_reader_sees_no_buttons_and_may_not_post(client, site):
    log_in(client, "reader")
    page = client.get(f"/findings/{uid_of(site)}").text
    csrf = re.search(r'"X-CSRF-Token": "([^"]+)"', page)[1]

    assert 'action="/verdicts"' not in page
    fields = {"uid": uid_of(site), "verdict": "attack", "csrf": csrf}
    assert client.post("/verdicts", data=fields).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}],
)
def test_another_site_cannot_post_even_where_there_is_no_log_in(shop, client_of, headers):
    client = client_of(site_of(shop))

    uid = shop.findings.all()[0].finding.uid
    assert (
        client.post(f"/api/v1/findings/{uid}/verdict", json={"verdict": "attack"}, headers=headers).status_code == 403
    )
    assert client.post("/login", data={}, headers=headers).status_code == 403
    assert client.get("/api/v1/findings", headers=headers).status_code == 200


def test_only_known_hosts_are_served_but_probes(shop, client_of):
    client = client_of(site_of(shop, public_url="https://ebbtide.example:8443", hosts=("other.example",)))

    for host, status in (
        ("evil.example", 421),
        ("ebbtide.example:8443", 200),
        ("other.example", 200),
        ("127.0.0.1", 200),
    ):
        assert client.get("/api/v1/health", headers={"host": host}).status_code == status
    assert client.get("/healthz", headers={"host": "10.1.2.3:8080"}).json() == {"status": "alive"}
    assert client.get("/readyz", headers={"host": "10.1.2.3"}).json()["ready"] is True


def test_large_bodies_are_refused_with_or_without_a_length(shop, client_of):
    client = client_of(site_of(shop, most_body_bytes=1000))

    assert client.post("/api/v1/filters/preview", json={"matchers": "x" * 2000}).status_code == 413
    chunks = (b'{"matchers": "' + b"x" * 600 for _ in range(3))
    assert client.post("/api/v1/filters/preview", content=chunks).status_code == 413
    assert client.get("/api/v1/health", headers={"content-length": "-1"}).status_code == 413


def test_a_body_that_does_not_come_is_not_waited_for():
    told = []

    async def receive():
        if not told:
            await asyncio.sleep(30)

    async def reading(_scope, receive, _send):
        await receive()

    async def send(message):
        told.append(message)

    scope = {"type": "http", "path": "/verdicts", "method": "POST", "headers": [(b"host", b"localhost")]}
    run_apart(Guard(reading, frozenset(), 1000, body_time_s=0.05)(scope, receive, send))
    assert told[0]["status"] == 408


@pytest.mark.parametrize("path", ["/findings", "/nothing", "/api/v1/findings", "/static/app.css", "/healthz"])
def test_every_answer_carries_the_headers(shop, client_of, path):
    answer = client_of(site_of(shop)).get(path)

    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert ("immutable" in answer.headers["cache-control"]) == path.startswith("/static")


def test_without_tokens_a_session_begins_by_itself(shop, client_of):
    client = client_of(site_of(shop))

    assert client.get("/filters").status_code == 200
    assert client.get("/login").url.path == "/findings"
    assert client.post("/verdicts", data={"uid": "x", "verdict": "attack"}).status_code == 403


def test_tokens_are_kept_as_digests_and_short_ones_are_refused():
    text = new_token()
    token = Token.of("ci", text, Scope.READ)

    assert text not in repr(token) and len(token.digest) == 64
    with pytest.raises(ConfigError, match="shorter than 32") as raised:
        Token.of("ci", "hunter2", Scope.READ)
    assert "hunter2" not in refusal_of(raised.value).model_dump_json()


@pytest.mark.parametrize("text", ["//e.example", "https://e.example", "/\\e.example", "javascript:x", "", "/a\nb"])
def test_only_paths_of_this_site_are_followed(text):
    assert local_path(text) == "/findings"


@pytest.mark.parametrize(
    ("kind", "place"),
    [(INCIDENT, "/findings?incident=prod%2Fshop%2Fa+b&state=all"), (SILENCE, "/health")],
)
def test_the_link_in_a_notice_leads_to_the_page_that_shows_it(shop, client_of, kind, place):
    record = notice(kind, "x", Entity("prod", "", ""), 10, 20, "told", Risk(0.0, 0.0, 0.0, "prod/shop/a b", "other"))
    shop.notices.save(Notice(kind.id, "x", record))
    client = client_of(site_of(shop, tokens=tokens()), follow_redirects=False)
    log_in(client, "reader")

    answer = client.get(f"/findings/{record.uid}")
    assert (answer.status_code, answer.headers["location"]) == (303, place)
    assert client.get(place).status_code == 200
