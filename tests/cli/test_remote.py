"""Commands against a running service say what they say of its file."""

import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from finding_samples import sample

from ebbtide.cli.remote import Remote
from ebbtide.errors import ServiceError, UsageError
from ebbtide.finding.filters import Filter, parse_matchers
from ebbtide.finding.lifecycle import Episode
from ebbtide.health import Health, Problem, Severity
from ebbtide.series import Entity
from ebbtide.store.store import Store
from ebbtide.triage import add_filter
from web_fixtures import TOKENS, serving, site_of, tokens


@pytest.fixture(scope="module")
def judged(imported, tmp_path_factory) -> Path:
    """A store with findings, one of two filters hiding some of them."""
    path = tmp_path_factory.mktemp("judged") / "judged.duckdb"
    shutil.copy(imported, path)
    with Store.open(path) as store:
        for number in range(21):
            entity = Entity("prod", "shop", f"w{number}", "nginx")
            finding = sample(uid=f"{number:08x}-0000-5000-8000-000000000000", entity=entity)
            store.findings.save(Episode(finding, 1))
        for name, matchers, expires_ns in (("some", '{workload=~"w[0-4]"}', None), ("none", '{process="x"}', 2**62)):
            add_filter(store, Filter(name, parse_matchers(matchers), "o", "r", 1, expires_ns), 2)
    return path


@pytest.fixture
def files(judged, tmp_path) -> tuple[Path, Path]:
    """The same store twice: one to open, one to serve."""
    for name in ("file.duckdb", "served.duckdb"):
        shutil.copy(judged, tmp_path / name)
    return tmp_path / "file.duckdb", tmp_path / "served.duckdb"


@pytest.fixture
def served(files, tmp_path) -> Iterator[list[str]]:
    """What a command says to use the service, as its administrator."""
    (tmp_path / "admin").write_text(TOKENS["admin"] + "\n")
    with Store.open(files[1]) as store, serving(site_of(store, tokens=tokens(), now=time.time_ns)) as url:
        yield ["--server", url, "--token-file", str(tmp_path / "admin")]


def test_what_is_read_of_a_service_is_what_is_read_of_its_file(ebbtide, files, served, monkeypatch):
    monkeypatch.setattr("ebbtide.cli.remote._PAGE", 7)  # 21 findings: the last page is empty
    uid = json.loads(ebbtide("findings", "--all", "--json", "--db", files[0]).out)[0]["uid"]
    for words in (
        ("findings",), ("findings", "--all"), ("findings", "--all", "--json"), ("findings", "--all", "--csv"),
        ("explain", uid[:12]), ("explain", uid, "--json"), ("filters", "list"), ("filters", "list", "--json"),
        ("health",),
    ):  # fmt: skip
        of_file, of_service = ebbtide(*words, "--db", files[0]), ebbtide(*words, *served)

        assert of_file.code == 0
        assert len(of_file.out) > 20
        assert of_service == of_file, words


def test_what_is_decided_is_kept_by_the_service(ebbtide, files, served):
    uid = json.loads(ebbtide("findings", "--all", "--json", "--db", files[0]).out)[0]["uid"]
    for words in (
        ("verdict", uid[:8], "attack", "--note", "a paste site"),
        ("filters", "add", "new", "--match", '{workload="checkout"}', "--reason", "why", "--owner", "ann"),
        ("filters", "remove", "none"),
        ("allow", "prod/shop/w1", "--to", "203.0.113.9", "--to", 'a"b', "--reason", "why", "--owner", "ann"),
    ):
        of_file = ebbtide(*words, "--db", files[0])
        assert ebbtide(*words, *served) == of_file, words
        assert of_file.code == 0

    [decided] = verdicts_of(served, uid)
    assert (decided["verdict"], decided["author"], decided["note"]) == ("attack", "admin", "a paste site")
    names = [one["name"] for one in json.loads(ebbtide("filters", "list", "--json", *served).out)]
    assert names == ["known-prod-shop-w1", "new", "some"]
    columns = ("name", "matchers", "reason")
    told = [json.loads(ebbtide("filters", "list", "--json", *where).out) for where in (served, ("--db", files[0]))]
    assert len({json.dumps([[one[key] for key in columns] for one in rows]) for rows in told}) == 1


def verdicts_of(served: list[str], uid: str) -> list[dict]:
    return Remote(served[1], TOKENS["reader"]).get(f"/findings/{uid}")["verdicts"]


def test_a_backup_of_a_service_is_restored_as_it_was(ebbtide, files, served, tmp_path):
    ran = ebbtide("backup", "--to", "b.duckdb", *served)

    assert ran.code == 0, ran.err
    assert "is copied to b.duckdb" in ran.out
    assert ebbtide("restore", "b.duckdb", "--db", "r.duckdb").code == 0
    all_of = ("findings", "--all", "--json", "--db")
    assert ebbtide(*all_of, "r.duckdb") == ebbtide(*all_of, files[0])
    with Store.open(tmp_path / "r.duckdb") as restored, Store.open(files[0]) as store:
        assert restored.totals() == store.totals() != {}
    assert ebbtide("backup", "--to", "b.duckdb", *served).code == 3
    assert sorted(one.name for one in tmp_path.iterdir() if "backup" in one.name or "partial" in one.name) == []


def test_a_backup_needs_an_administrator(ebbtide, served, tmp_path):
    (tmp_path / "writer").write_text(TOKENS["writer"])

    ran = ebbtide("backup", "--to", "b.duckdb", *served[:2], "--token-file", "writer")

    assert (ran.code, "no administrator" in ran.err) == (4, True)
    assert not (tmp_path / "b.duckdb").exists()
    assert not (tmp_path / "b.duckdb.partial").exists()


def test_the_service_and_the_token_come_from_the_environment_too(ebbtide, served, monkeypatch):
    monkeypatch.setenv("EBBTIDE_SERVER", served[1])
    assert (ebbtide("filters", "list").code, "give a token" in ebbtide("filters", "list").err) == (4, True)
    monkeypatch.setenv("EBBTIDE_TOKEN_FILE", served[3])
    assert "workload" in ebbtide("filters", "list").out


def test_what_goes_wrong_has_its_exit_code_and_hint(ebbtide, served):
    ran = ebbtide("explain", "ffffffffff", *served)
    assert (ran.code, "no finding" in ran.err) == (3, True)
    ran = ebbtide("filters", "remove", "absent", *served)
    assert (ran.code, "absent" in ran.err) == (3, True)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        ran = ebbtide("health", "--server", f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert (ran.code, "does the service run" in ran.err) == (4, True)


def test_health_of_a_service_that_is_not_ready_is_an_exit_code(ebbtide, files):
    full = Health(1, problems=(Problem(Severity.CRITICAL, "Nothing that arrives can be stored", "make room"),))
    with Store.open(files[1]) as store, serving(site_of(store, health=lambda: full)) as url:
        ran = ebbtide("health", "--server", url)

    assert ran.code == 4
    assert "critical: Nothing that arrives can be stored (make room)" in ran.out


@pytest.mark.parametrize("url", ["127.0.0.1:8765", "ftp://x", "http://a:b@c", "http://x y", "http://x:99999"])
def test_what_is_no_address_is_usage(url):
    with pytest.raises(UsageError):
        Remote(url)


def test_a_token_does_not_travel_in_the_clear():
    with pytest.raises(UsageError, match="would travel over http"):
        Remote("http://ebbtide.example:8765", "t" * 40)
    Remote("https://ebbtide.example:8765", "t" * 40)


def test_an_answer_that_is_cut_or_not_ours_is_told(tmp_path):
    def answer_with(said: bytes) -> str:
        listening = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            with listening, listening.accept()[0] as peer:
                peer.recv(65536)
                peer.sendall(said)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):  # what is not read would reset the connection
                    pass

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
    with pytest.raises(ServiceError, match="not answer as Ebbtide"):
        Remote(answer_with(head % 5 + b"hello")).get("/health")
    with pytest.raises(ServiceError):
        Remote(answer_with(head % 500 + b"{}")).get("/health")
    with pytest.raises(ServiceError, match="cut"):
        Remote(answer_with(head % 500 + b"half")).backup(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []
