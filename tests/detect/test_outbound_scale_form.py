import pytest

from ebbtide.detect.outbound_scale_form import from_json
from ebbtide.errors import DataError


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"ratio": {}}', "7", '{"ratio": null, "volume": null}'])
def test_what_is_no_scale_is_refused(text):
    with pytest.raises(DataError, match="not a stored scale"):
        from_json(text)
