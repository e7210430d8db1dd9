from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

import ebbtide.receive.settings
from ebbtide.config import EXAMPLE, Config, Settings, catalogue_of, detections_of, load_config
from ebbtide.errors import ConfigError
from ebbtide.guard import Caps
from ebbtide.registry import DETECTORS
from ebbtide.series import HOUR_NS, MINUTE_NS
from ebbtide.service.front import WebSettings

CORRECTED = "outbound_network_activity_from_process_corrected"


class Receivers(BaseModel):
    model_config = ConfigDict(extra="forbid")
    port: int = 0


def loaded(text: str) -> Config:
    return load_config(text, "e.yaml", {"PORT": "7"}, str, {"receivers": Receivers, "web": WebSettings})


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(text)
    return [str(one) for one in caught.value.problems]


def test_an_empty_file_is_all_defaults():
    config = loaded("")

    assert config.settings.lateness == 2 * MINUTE_NS
    assert config.settings.store.retention.samples_ns == 26 * HOUR_NS
    assert config.slots["receivers"] == Receivers()
    assert config.sinks == {}


def test_every_section_is_read_and_references_are_filled():
    config = loaded(
        "store: {path: /x.duckdb, memory: 512MiB, disk_budget: 20GiB}\nlateness: 5m\nclusters: [prod]\n"
        "receivers: {port: '${env:PORT}'}\nsinks:\n  log: {type: lines, path: '-'}\nguard: {series: 10}\n"
    )

    assert config.settings.store.memory == 512 << 20
    assert config.pace.lateness_ns == 5 * MINUTE_NS
    assert config.slots["receivers"] == Receivers(port=7)
    assert list(config.sinks) == ["log"]
    assert config.settings.guard.series == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("store:\n  pth: x\n", "e.yaml:2: unknown key `store.pth` (did you mean `path`?)"),
        ("latenes: 5m\n", "e.yaml:1: unknown key `latenes` (did you mean `lateness`?)"),
        ("receiver: {}\n", "e.yaml:1: unknown key `receiver` (did you mean `receivers`?)"),
        ("tick: 60\n", "e.yaml:1: `tick`: 60 is not a duration"),
        ("store: {memory: 512}\n", "`store.memory`: 512 is not a size"),
        ("receivers:\n  prot: 3\n", "e.yaml:2: unknown key `receivers.prot` (did you mean `port`?)"),
        ("lateness: ${env:NO}\n", "`lateness`: the environment has no 'NO'"),
        ("sinks:\n  a: {type: webhok}\n", "there is no sink of type 'webhok'"),
        ("store: {retain: {samples: 2h}}\n", "write at least 26h"),
        ("a: 1\na: 2\n", "e.yaml:2: `a` stands here twice"),
        ("- 1\n", "the settings have no keys"),
        ("a: {\n", "is not YAML"),
    ],
)
def test_mistakes_are_told_with_line_and_hint(text, said):
    assert any(said in one for one in problems(text)), problems(text)


def test_all_mistakes_are_told_at_once():
    assert len(problems("tick: 1\nstore: {pth: 1}\nsinks: {a: {type: x}}\nreceivers: {b: 1}\n")) == 4


def test_the_example_is_valid_and_says_the_defaults():
    slots = {"receivers": ebbtide.receive.settings.Receivers, "web": WebSettings}
    example = load_config(EXAMPLE, "e.yaml", {}, str, slots)
    said, plain = example.settings, loaded("").settings

    assert example.slots["web"] == WebSettings()
    assert [kind for kind, _ in example.slots["receivers"].listeners()] == ["otlp_http"]
    changed = {"backup", "budget", "clusters", "detections", "store"}
    assert catalogue_of(said, DETECTORS).get("joined") == catalogue_of(plain, DETECTORS).get("joined")
    assert None not in said.budget.model_dump().values()
    assert said.model_dump(exclude=changed) == plain.model_dump(exclude=changed)
    assert said.store.model_dump(exclude={"disk_budget"}) == plain.store.model_dump(exclude={"disk_budget"})


def chosen(text: str):
    settings = loaded(text).settings
    return detections_of(settings.detections, catalogue_of(settings, DETECTORS), DETECTORS)


def test_detections_are_chosen_and_overridden():
    change = f"{{{CORRECTED}: {{every: 5m, options: {{k: 4}}, impact: 80}}}}"
    text = f"detections: {{enabled: [{CORRECTED}], overrides: {change}}}"

    [one] = chosen(text)

    assert one.every_ns == 5 * MINUTE_NS
    assert one.options["k"] == 4
    assert one.risk.impact == 80
    assert one.lag_ns == 10 * MINUTE_NS
    assert CORRECTED not in [each.id for each in chosen(f"detections: {{disabled: [{CORRECTED}]}}")]


def test_detections_that_cannot_run_are_told():
    with pytest.raises(ConfigError) as caught:
        chosen(f"detections: {{disabled: [{CORRECTED}x], overrides: {{{CORRECTED}: {{options: {{kk: 1}}}}}}}}")

    told = [str(one) for one in caught.value.problems]
    assert len(told) == 2
    assert f"did you mean `{CORRECTED}`?" in told[0]


def test_directories_of_detections_are_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the detections"):
        chosen(f"detections: {{directories: [{tmp_path / 'absent'}]}}")


def test_every_key_is_in_the_documentation():
    text = (Path(__file__).parents[1] / "docs" / "operations.md").read_text("utf-8")

    def missing(model: type[BaseModel], prefix: str = "") -> list[str]:
        names = []
        for name, field in model.model_fields.items():
            inner = field.annotation
            is_part = isinstance(inner, type) and issubclass(inner, BaseModel)
            if f"`{prefix}{name}`" in text:
                continue
            names += missing(inner, f"{prefix}{name}.") if is_part else [f"{prefix}{name}"]
        return names

    assert missing(Settings) == []
    assert [name for name in Caps.model_fields if f"`{name}`" not in text] == []
    assert [name for name in WebSettings.model_fields if f"`web.{name}`" not in text] == []


def test_the_budget_reaches_the_default_detection_and_an_override_goes_before_it():
    config = loaded(
        "budget: {per_1000_entity_days: 3, per_day: 4, per_entity_day: 2}\n"
        "detections: {overrides: {joined: {options: {findings_per_day: 5}}}}\n"
    )
    catalogue = catalogue_of(config.settings, DETECTORS)
    [joined] = [one for one in detections_of(config.settings.detections, catalogue, DETECTORS) if one.id == "joined"]

    assert catalogue.get("joined").options["findings_per_day"] == 4
    assert (joined.options["budget"], joined.options["findings_per_day"]) == (3, 5)
    assert (joined.options["findings_per_entity_day"], joined.options["novelty_share"]) == (2, 0.1)


def test_an_override_of_a_part_that_does_not_run_by_itself_is_a_mistake():
    overridden = "overrides: {outbound: {options: {budget: 3}}}"
    config = loaded(f"detections: {{{overridden}}}")
    with pytest.raises(ConfigError) as caught:
        detections_of(config.settings.detections, catalogue_of(config.settings, DETECTORS), DETECTORS)
    alone = loaded(f"detections: {{disabled: [joined], {overridden}}}").settings
    found = detections_of(alone.detections, catalogue_of(alone, DETECTORS), DETECTORS)

    assert "'outbound' does not run by itself: it is part of 'joined'" in str(caught.value.problems[0])
    assert {one.id: one.options.get("budget") for one in found}["outbound"] == 3
