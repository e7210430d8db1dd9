import json

import jsonschema
import pytest
from delivery_samples import delivery, nasty
from finding_samples import NOON_NS
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from ebbtide.deliver.heartbeat import heartbeat
from ebbtide.deliver.ocsf import VERSION, to_event
from ebbtide.deliver.sample import sample
from ebbtide.deliver.sink import Delivery
from ebbtide.finding.lifecycle import Change
from ebbtide.series import DAY_NS


@pytest.fixture(scope="module")
def validator():
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(VERSION)).get_class_schema("detection_finding")
    return jsonschema.Draft202012Validator(schema)


def errors(validator, event) -> list[str]:
    found = validator.iter_errors(json.loads(json.dumps(event, allow_nan=False)))
    return [f"{list(one.absolute_path)}: {one.message[:200]}" for one in found]


@pytest.mark.parametrize("change", Change)
def test_each_change_is_a_detection_finding_of_the_published_schema(validator, change):
    assert errors(validator, to_event(delivery(change))) == []


def test_hostile_and_made_up_findings_are_too(validator):
    assert errors(validator, to_event(nasty())) == []
    assert errors(validator, to_event(sample("s", 1704888000 * 10**9))) == []


def test_a_heartbeat_is_an_event_of_the_application_not_a_finding():
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(VERSION)).get_class_schema("application_lifecycle")
    beat = Delivery("b/1", Change.OPENED, heartbeat("s", DAY_NS, NOON_NS), NOON_NS)

    assert errors(jsonschema.Draft202012Validator(schema), to_event(beat)) == []
    assert to_event(beat)["class_uid"] == 6002


def test_the_schema_does_refuse_what_is_wrong(validator):
    event = to_event(delivery())
    assert errors(validator, {key: value for key, value in event.items() if key != "finding_info"})
    assert errors(validator, event | {"activity_id": 7})
    assert errors(validator, event | {"never_heard_of": 1})


def test_activity_and_type_agree():
    kinds = [(to_event(delivery(change))["activity_id"], to_event(delivery(change))["type_uid"]) for change in Change]
    assert kinds == [(1, 200401), (2, 200402), (3, 200403), (2, 200402)]
