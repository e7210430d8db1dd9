"""Tables are Markdown."""

from ebbtide.lab.report import pair, table, two


def test_a_table():
    assert table(["name", "a", "b"], [["x", "1", "2"]]).splitlines() == [
        "| name | a | b |",
        "|---|--:|--:|",
        "| x | 1 | 2 |",
    ]


def test_numbers():
    assert pair(0.456, 19.95) == "0.46 (19.9)" or pair(0.456, 19.95) == "0.46 (20.0)"
    assert two([0.126, 1.0]) == ["0.13", "1.00"]
