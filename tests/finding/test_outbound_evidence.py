"""Evidence of the outbound detector (`ebbtide.finding.outbound_evidence`) and its form."""

import json

import pytest
from outbound_samples import evidence, pair

from ebbtide.errors import DataError
from ebbtide.finding.outbound_form import from_object, to_object


def test_evidence_survives_json_with_what_is_not_known():
    one = evidence(pair(), pair(metric="udp.bytes", score=-3.0))
    text = json.dumps(to_object(one), allow_nan=False)
    again = from_object(json.loads(text))

    assert to_object(again) == to_object(one)
    assert again.main.metric == "tcp.bytes"
    assert again.main.volume == float("-inf")


@pytest.mark.parametrize("change", [{"pairs": []}, {"scale": {}}, {"score": "much"}, {"pairs": [{}]}])
def test_what_is_no_evidence_is_refused(change):
    with pytest.raises((DataError, ValueError, KeyError, TypeError)):
        from_object(to_object(evidence()) | change)
