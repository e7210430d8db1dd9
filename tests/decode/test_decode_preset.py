"""Presets: shipped ones are sound, a user's is checked with all its mistakes at once."""

from __future__ import annotations

import pytest

from ebbtide.decode.preset import load_preset, parse_preset, preset_names
from ebbtide.errors import ConfigError, NotFoundError
from ebbtide.series import SECOND_NS


@pytest.mark.parametrize("name", preset_names())
def test_shipped_presets_load_under_their_own_name(name: str) -> None:
    found = load_preset(name)
    assert found.name == name and found.description
    assert found.notice == "" or not found.verified


def test_unverified_presets_say_so() -> None:
    assert "not verified" in load_preset("inspektor-gadget-top-tcp").notice


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(NotFoundError) as caught:
        load_preset("nope")
    assert "opentelemetry-network" in caught.value.hint


def test_a_users_preset_extends_a_shipped_one() -> None:
    found = parse_preset("extends: opentelemetry-network\nname: mine\ninterval: 10s\nviews: {use: id_id}\n")
    assert found.name == "mine" and found.interval == 10 * SECOND_NS
    assert found.views is not None and found.views.attribute == "aggregation" and found.views.use == "id_id"
    assert found.metrics == load_preset("opentelemetry-network").metrics


def test_all_mistakes_are_shown_together_with_their_place() -> None:
    text = "extends: obi\ninterval: soon\nidentity: [{field: workload, pattern: '('}]\nnonsense: 1\n"
    with pytest.raises(ConfigError) as caught:
        parse_preset(text, where="mine.yaml")
    shown = str(caught.value)
    assert len(caught.value.problems) == 3
    assert "interval" in shown and "identity.0.pattern" in shown and "nonsense" in shown


@pytest.mark.parametrize("text", ["[", "just text", "name: x"])
def test_what_is_no_preset_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_preset(text)


def test_a_table_is_wide_or_long_but_not_both() -> None:
    with pytest.raises(ConfigError):
        load_preset("table", {"columns": {"metric_column": "m", "value_column": "v"}})


def test_a_preset_must_want_something() -> None:
    with pytest.raises(ConfigError):
        load_preset("obi", {"metrics": []})


@pytest.mark.parametrize(
    "mistake",
    [
        {"sender": {"workload": {"attribute": "a", "pattern": "x"}}},
        {"identity": [{"field": "workload", "pattern": "x", "replace": "\\1"}]},
        {"columns": {"origin": "soon"}},
        {"interval": "0s"},
        {"metrics": [{"name": "a", "to": "b", "scale": 0}]},
    ],
)
def test_mistakes_are_found_before_the_first_point(mistake: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        load_preset("table", mistake)
