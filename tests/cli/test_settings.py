from ebbtide.receive.settings import Listener
from ebbtide.receive.tokens import Gate, digest_of
from ebbtide.web.site import Scope, Token


def test_the_example_is_a_good_file(ebbtide, tmp_path):
    (tmp_path / "ebbtide.yaml").write_text(ebbtide("config", "example").out)

    ran = ebbtide("config", "check")

    assert ran.code == 0
    assert "ebbtide.yaml is good" in ran.out and "1 sinks" in ran.out


def test_a_token_fits_what_the_settings_hold_of_it(ebbtide, tmp_path):
    made = ebbtide("config", "token", "--to", "collector.token")
    token, digest = (tmp_path / "collector.token").read_text(), made.out.removeprefix("sha256: ").strip()
    listener = Listener(address="127.0.0.1:0", tokens=[{"name": "a", "sha256": digest}])

    assert Gate(listener).admit(f"Bearer {token}", "127.0.0.1").name == "a"
    assert token not in made.out + made.err
    assert (tmp_path / "collector.token").stat().st_mode & 0o777 == 0o600
    assert Token.of("people", token, Scope.ADMIN)  # long enough for people, too
    again = ebbtide("config", "token", "--to", "collector.token")
    assert (again.code, "locked out" in again.err) == (2, True)
    assert ebbtide("config", "token", "--to", "absent/collector.token").code == 2
    shown = ebbtide("config", "token").out.splitlines()
    assert shown[1] == f"sha256: {digest_of(shown[0].removeprefix('token: '))}"


def test_the_file_to_check_may_stand_alone(ebbtide, tmp_path):
    (tmp_path / "x.yaml").write_text("tick: 5s\n")

    assert "x.yaml is good" in ebbtide("config", "check", "x.yaml").out


def test_mistakes_are_told_with_line_and_hint(ebbtide, tmp_path):
    (tmp_path / "x.yaml").write_text("tick: 5\nweb:\n  adress: x\n")

    ran = ebbtide("config", "check", "--config", "x.yaml")

    assert ran.code == 2
    assert "x.yaml:1: `tick`: 5 is not a duration" in ran.err
    assert "x.yaml:3: unknown key `web.adress` (did you mean `address`?)" in ran.err


def test_detections_that_are_not_there_and_files_that_cannot_be_read(ebbtide, tmp_path):
    (tmp_path / "x.yaml").write_text("detections: {enabled: [nope]}\n")
    assert "there is no detection 'nope'" in ebbtide("config", "check", "--config", "x.yaml").err
    assert ebbtide("config", "check").code == 2
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in ebbtide("config", "check", "--config", "x.yaml").err


def test_what_is_too_small_or_misspelt_is_told_in_the_words_of_the_file(ebbtide, tmp_path):
    (tmp_path / "x.yaml").write_text(
        "store: {disk_budget: 1MiB}\n"
        "receivers:\n  otlp_http: {address: 127.0.0.1:4318, preset: opentelemetry-netwrk}\n"
        "sinks:\n  log: {type: lines, path: x, heartbeat: 10s}\n"
    )

    told = ebbtide("config", "check", "--config", "x.yaml")

    assert told.code == 2
    assert "x.yaml:1: `store.disk_budget`: a disk budget is at least 32MiB" in told.err
    assert "there is no preset 'opentelemetry-netwrk': did you mean `opentelemetry-network`?" in told.err
    assert "x.yaml:5: `heartbeat`: heartbeats are at least 1m apart" in told.err
