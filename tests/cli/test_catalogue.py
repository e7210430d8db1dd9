import json
from pathlib import Path


def test_list_and_show(ebbtide):
    ids = [one["id"] for one in json.loads(ebbtide("detections", "list", "--json").out)]
    page = ebbtide("detections", "show", "kubernetes_anomalous_outbound_network_activity_from_process").out

    assert "outbound_network_activity_from_process_corrected" in ids
    for word in ("T1204", "Installation", "DE.AE", "CIS 13", "25 = impact 50 x confidence 50 / 100", "signal flow"):
        assert word.lower() in page.lower()


def test_the_shipped_examples_pass(ebbtide):
    ran = ebbtide("detections", "test", "--json")

    assert ran.code == 0
    assert {one["result"] for one in json.loads(ran.out)} == {"passed"}


def test_a_directory_adds_and_its_mistakes_have_a_line_and_a_hint(ebbtide):
    own = Path("own")
    own.mkdir()
    (own / "bad.yaml").write_text("id: mine\nversion: 1\nevry: 1h\n")

    ran = ebbtide("detections", "list", "--detections", "own")

    assert ran.code == 2
    assert "bad.yaml:3" in ran.err
    assert "every" in ran.err


def test_an_unknown_detection_names_the_nearest(ebbtide):
    ran = ebbtide("detections", "show", "outbound_network_activity_from_process_correct")

    assert ran.code == 3
    assert "outbound_network_activity_from_process_corrected" in ran.err
