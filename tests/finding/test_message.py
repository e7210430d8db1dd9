from finding_samples import CORRECTED, NGINX, sample

from ebbtide.detect.detection import MESSAGE_TOKENS
from ebbtide.finding.message import render, tokens_of
from ebbtide.series import Entity


def test_there_is_a_value_for_every_token() -> None:
    found = sample()
    assert set(tokens_of(CORRECTED, NGINX, found.evidence, found.risk, "h")) == set(MESSAGE_TOKENS)


def test_what_is_not_known_reads_as_a_dash() -> None:
    found = sample()
    tokens = tokens_of(CORRECTED, Entity("", "", "w"), found.evidence, found.risk, "h")
    assert (tokens["host"], tokens["namespace"], tokens["process"]) == ("-", "-", "-")


def test_filled_values_are_safe_and_not_filled_again() -> None:
    assert render("$host$ up", {"host": "$count$\x1b[0m", "count": "9"}) == "$count$�[0m up"
    assert render("100 $ and $5 $", {}) == "100 $ and $5 $"
