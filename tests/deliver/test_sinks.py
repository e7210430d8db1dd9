import pytest

from ebbtide.deliver.sinks import load_sinks
from ebbtide.errors import ConfigError

GOOD = """
listen: {port: 1}
sinks:
  soc:
    type: webhook
    url: https://soc.example/${env:PATH_SECRET}
    secret: ${file:/run/s}
    retry: {longest: 1m, attempts: 3}
    changes: [opened, closed]
  am: {type: alertmanager, url: "http://alertmanager:9093", labels: {team: net}, hold: 30m}
  log: {type: lines, path: "-"}
"""
ENVIRON = {"PATH_SECRET": "p4th", "T": "t"}


def read(path: str) -> str:
    return "s3cret\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_sinks(text, "e.yaml", ENVIRON, read)
    return [str(one) for one in caught.value.problems]


def test_sinks_are_read_in_their_order_with_secrets_filled():
    sinks = load_sinks(GOOD, "e.yaml", ENVIRON, read)
    assert list(sinks) == ["soc", "am", "log"]
    assert sinks["soc"].secret.get_secret_value() == "s3cret"
    assert sinks["soc"].target == "https://soc.example"
    assert sinks["soc"].changes == ("opened", "closed")
    assert sinks["soc"].retry.longest == 60 * 10**9


@pytest.mark.parametrize("text", ["", "store: {}\n", "sinks:\n"])
def test_no_sinks_are_no_mistake(text):
    assert load_sinks(text, "e.yaml", {}, read) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sinks:\n  a:\n    type: webhook\n    url: https://x\n    secert: 1\n",
         "e.yaml:5: unknown key `secert` (did you mean `secret`?)"),
        ("sinks:\n  a: {type: webhok}\n", "e.yaml:2: there is no sink of type 'webhok' (did you mean `webhook`?)"),
        ("sinks:\n  a: {url: x}\n", "e.yaml:2: the sink a has no type"),
        ("sinks:\n  a:\n    type: webhook\n", "e.yaml:2: `url` is missing"),
        ("sinks:\n  a:\n    type: webhook\n    url: https://x\n    secret: abc\n", "e.yaml:5: `secret`: a secret"),
        ("sinks:\n  a:\n    type: webhook\n    url: ${env:NO}\n", "e.yaml:4: `url`: the environment has no 'NO'"),
        ("sinks:\n  a: {type: webhook, url: 'file:///etc/passwd'}\n", "a URL starts with https://"),
        ("sinks:\n  a: {type: webhook, url: 'https://u:p@x'}\n", "a URL holds no user"),
        ("sinks:\n  a: {type: splunk_hec, url: 'http://x', token: '${env:T}'}\n", "a secret would travel over http://"),
        ("sinks:\n  a: {type: alertmanager, url: 'http://x', labels: {cluster: y}}\n", "the label 'cluster' is set by"),
        ("sinks:\n  a: {type: syslog, host: x, facility: mail}\n", "'mail' is no facility"),
        ("sinks:\n  a: {type: syslog, host: x, protocol: udp, tls: {ca_file: x}}\n", "say `protocol: tls`"),
        ("sinks:\n  a: {type: lines, path: x, template: '$nope$'}\n", "unknown token $nope$"),
        ("sinks:\n  A B: {type: lines, path: x}\n", "'A B' is no name of a sink"),
        ("sinks:\n  a: {type: lines, path: x}\n  a: {type: lines, path: y}\n", "`a` stands here twice"),
        ("sinks: [1]\n", "`sinks` is not a mapping"),
        ("sinks:\n  a: &x {type: lines, path: x}\n  b: *x\n", "aliases are refused"),
        ("sinks: {\n", "not YAML"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_line_and_hint(text, said):
    assert any(said in one for one in problems(text)), problems(text)


def test_all_mistakes_are_told_at_once():
    assert len(problems("sinks:\n  a: {type: x}\n  b: {type: webhook}\n  C!: {type: lines, path: x}\n")) == 3


def test_a_mistake_never_shows_a_secret():
    text = "sinks:\n  a: {type: splunk_hec, url: 'ftp://x', token: '${file:/s}', bogus: '${file:/s}'}\n"
    assert "s3cret" not in " ".join(problems(text))
