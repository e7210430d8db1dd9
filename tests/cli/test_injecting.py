"""The words of `backtest --inject`."""

import pytest

from ebbtide.cli.injecting import outcome_text, own_copy


class Outcome:
    def __init__(self, is_caught: bool, is_told: bool) -> None:
        self.is_caught, self.is_told = is_caught, is_told


@pytest.mark.parametrize(
    ("is_caught", "is_told", "text"),
    [(True, True, "caught"), (False, True, "told anyway"), (False, False, "missed")],
)
def test_the_outcome_of_an_attack_in_a_word(is_caught, is_told, text):
    assert outcome_text(Outcome(is_caught, is_told)) == text


def test_a_copy_is_gone_afterwards_and_the_store_is_as_it_was(tmp_path):
    store = tmp_path / "s.duckdb"
    store.write_bytes(b"the store's bytes")
    with own_copy(store) as copy:
        assert copy.read_bytes() == b"the store's bytes"
        copy.write_bytes(b"changed")
    assert not copy.exists()
    assert store.read_bytes() == b"the store's bytes"
