"""The documentation against the code."""

import doctest
import re
import sys
from pathlib import Path

import pytest

from ebbtide.detect.catalogue import SourceFile, parse
from ebbtide.detect.examples import run_examples
from ebbtide.detect.sigma import SigmaOptions
from ebbtide.finding.filters import FIELDS, parse_matchers
from ebbtide.registry import DETECTORS

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
from generate import pages  # noqa: E402 the script lives beside the pages it writes

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("name", pages())
def test_generated_pages_are_up_to_date(name):
    assert (ROOT / "docs" / name).read_text("utf-8") == pages()[name], "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_example_of_a_detection_loads_and_its_examples_pass():
    text = (ROOT / "docs" / "detections.md").read_text("utf-8")
    [example] = re.findall(r"```yaml\n(id: .*?)```", text, re.DOTALL)

    detection, problems = parse(SourceFile("detections.md", example), DETECTORS)

    assert problems == []
    results = run_examples(detection, DETECTORS[detection.detector])
    assert len(results) == 2
    assert all(one.passed for one in results), results


def test_every_option_of_sigma_is_in_the_table_with_its_default():
    text = (ROOT / "docs" / "detections.md").read_text("utf-8")
    for name, field in SigmaOptions.model_fields.items():
        row = re.search(rf"\| `{name}` \| ([^|]*) \|", text)
        assert row, name
        default = field.default if field.default is not None else "none"
        assert row[1].strip("` ") in (f"{default:g}" if isinstance(default, float) else str(default), "none")


def test_every_field_of_filters_is_named():
    text = (ROOT / "docs" / "filters.md").read_text("utf-8")

    assert [name for name in FIELDS if f"`{name}`" not in text] == []
    [example] = re.findall(r"--match '(.*?)'", text)
    parse_matchers(example)


def test_the_architecture_names_files_that_exist():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for name in re.findall(r"`([\w/.*<>-]+\.(?:py|yaml|sql|md))`", text):
        assert list(ROOT.glob(f"**/{name.replace('<segment>', '*')}")), name


def test_the_worked_example_of_the_default_detection_runs():
    failed, tried = doctest.testfile(str(ROOT / "docs" / "outbound.md"), module_relative=False)

    assert (failed, tried > 10) == (0, True)
