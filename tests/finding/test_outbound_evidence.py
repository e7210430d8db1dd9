"""Evidence of the outbound detector (`ebbtide.finding.outbound_evidence`) and its form."""

import json

import pytest
from outbound_samples import NAN, evidence, mix, pair

from ebbtide.errors import DataError
from ebbtide.finding.outbound_form import from_object, to_object


def test_evidence_survives_json_with_what_is_not_known():
    quieted = pair(metric="udp.bytes", score=-3.0, mix=mix(overlap=NAN, usual_mix=2.0))
    one = evidence(pair(), quieted)
    text = json.dumps(to_object(one), allow_nan=False)
    again = from_object(json.loads(text))

    assert to_object(again) == to_object(one)
    assert again.main.metric == "tcp.bytes"
    assert (again.main.mix, again.pairs[1].mix.usual_mix) == (None, 2.0)
    assert again.main.volume == float("-inf")


@pytest.mark.parametrize("change", [{"pairs": []}, {"scale": {}}, {"score": "much"}, {"pairs": [{}]}])
def test_what_is_no_evidence_is_refused(change):
    with pytest.raises((DataError, ValueError, KeyError, TypeError)):
        from_object(to_object(evidence()) | change)


def test_evidence_written_before_there_were_clues_is_read():
    old = to_object(evidence())
    for pair_ in old["pairs"]:
        del pair_["mix"]
    del old["scale"]["plain"]

    assert from_object(old).main.mix is None
