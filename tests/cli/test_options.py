import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.cli.options import chosen, load_catalogue, parse_span, parse_time
from ebbtide.errors import NotFoundError, UsageError
from ebbtide.finding.text import rfc3339
from ebbtide.series import MINUTE_NS, SECOND_NS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1704888000", 1704888000),
        ("1704888000.5", 1704888000.5),
        ("2024-01-10T12:00:00Z", 1704888000),
        ("2024-01-10T14:00:00+02:00", 1704888000),
        ("2024-01-10", 1704844800),
    ],
)
def test_times(text, seconds):
    assert parse_time(text) == seconds * SECOND_NS


@given(st.integers(0, 2**33))
def test_a_printed_time_reads_back(seconds):
    assert parse_time(rfc3339(seconds * SECOND_NS)) == seconds * SECOND_NS


@pytest.mark.parametrize("text", ["", "now", "-5", "12345678901234567890", "2024-13-01", "1e9"])
def test_no_times(text):
    with pytest.raises(UsageError) as error:
        parse_time(text)
    assert error.value.hint


def test_spans():
    assert parse_span("15m") == 15 * MINUTE_NS
    for text in ("15", "0", "-1h", "1w", ""):
        with pytest.raises(UsageError):
            parse_span(text)


def test_all_detections_are_chosen_unless_some_are_named():
    catalogue = load_catalogue(None)

    assert {one.id for one in chosen(catalogue, None)} == set(catalogue.detections) - {"outbound", "novelty"}
    assert [one.id for one in chosen(catalogue, ["outbound"])] == ["outbound"]
    assert [one.short_name for one in chosen(catalogue, ["outbound_network_activity_from_process_corrected"])] == [
        "corrected"
    ]
    with pytest.raises(NotFoundError):
        chosen(catalogue, ["nosuch"])
