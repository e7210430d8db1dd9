"""docs/story.md: every detection of upstream's story is answered for, by detections that exist."""

import re

import pytest

from ebbtide.detect.catalogue import load
from ebbtide.registry import DETECTORS
from manifests import ROOT

#: The story's detections in its own order (security_content, `detections/cloud/`).
UPSTREAM = [
    "Kubernetes Anomalous Outbound Network Activity from Process",
    "Kubernetes Anomalous Inbound Network Activity from Process",
    "Kubernetes Anomalous Traffic on Network Edge",
    "Kubernetes newly seen TCP edge",
    "Kubernetes newly seen UDP edge",
    "Kubernetes Anomalous Inbound Outbound Network IO",
    "Kubernetes Anomalous Inbound to Outbound Network IO Ratio",
    "Kubernetes Process with Anomalous Resource Utilisation",
    "Kubernetes Process with Resource Ratio Anomalies",
    "Kubernetes Previously Unseen Process",
    "Kubernetes Process Running From New Path",
    "Kubernetes Previously Unseen Container Image Name",
    "Kubernetes Shell Running on Worker Node",
    "Kubernetes Shell Running on Worker Node with CPU Activity",
]
TEXT = (ROOT / "docs" / "story.md").read_text("utf-8")
ROWS = {
    cells[0]: cells[1:]
    for line in TEXT.splitlines()
    if line.startswith("| Kubernetes ") and (cells := [one.strip() for one in line.strip("|").split("|")])
}
CATALOGUE = load(DETECTORS).detections


def test_every_detection_of_the_story_has_a_row_and_no_other():
    assert list(ROWS) == UPSTREAM


@pytest.mark.parametrize("name", UPSTREAM)
def test_a_row_names_detections_that_exist_or_says_what_it_would_take(name):
    state, by, text = ROWS[name]
    named = re.findall(r"`(\w+)`", by)
    assert [one for one in named if one not in CATALOGUE] == []
    assert state in ("yes", "partly", "not yet")
    assert bool(named) == (state != "not yet")
    assert ("Needs:" in text) == (state != "yes")


def test_all_shipped_detections_are_placed():
    placed = {one for _, by, _ in ROWS.values() for one in re.findall(r"`(\w+)`", by)}
    assert placed == set(CATALOGUE)


def test_the_one_that_is_repeated_is_the_one_that_names_it():
    [repeated, *_] = re.findall(r"`(\w+)`", ROWS[UPSTREAM[0]][1])
    assert CATALOGUE[repeated].name == UPSTREAM[0]
