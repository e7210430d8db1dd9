"""The command: skipped without data, refused with a wrong section, and the study's figures shown where the data lie."""

import pytest

from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.errors import NoDataError
from ebbtide.lab import study
from ebbtide.lab.bench import OutboundBench
from ebbtide.lab.bitbrains import data_directory, read_bitbrains
from ebbtide.lab.evaluate import BUDGETS
from ebbtide.lab.quality import main
from ebbtide.lab.quality_sections import measure, outcomes


def test_without_data_it_says_so_and_ends_well(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("EBBTIDE_DATA", str(tmp_path))
    assert main(["main"]) == 0
    assert "skipped" in capsys.readouterr().err


def test_the_shipped_recording_needs_no_data(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("EBBTIDE_DATA", str(tmp_path))
    assert main(["excerpt"]) == 0
    said = capsys.readouterr()
    assert "| 10 | 0.47 |" in said.out and "skipped" not in said.err


def test_a_wrong_section_is_refused():
    with pytest.raises(SystemExit) as caught:
        main(["nonsense"])
    assert caught.value.code == 2


def test_the_detector_shows_the_design_studys_figures():
    """Recall within 3 points of the study at every budget, on our draws."""
    try:
        traffic = read_bitbrains(data_directory())
    except NoDataError as missing:
        pytest.skip(f"{missing} ({missing.hint})")
    measured = measure(OutboundBench.run(traffic, OutboundOptions(inbound_explains=False)), seed=1)
    for budget, row in zip(BUDGETS, outcomes(measured, measured.scaled), strict=True):
        recall, findings = study.FIXED[int(budget)]
        assert row.recall.mean > recall - 0.03
        assert row.findings < findings * 1.3
