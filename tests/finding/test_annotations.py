from finding_samples import CORRECTED, UPSTREAM

from ebbtide.detect.detection import AnnotationSpec, Detection
from ebbtide.finding.annotations import KILL_CHAIN, TECHNIQUES, annotate


def with_annotations(detection: Detection, **changes: object) -> Detection:
    spec = AnnotationSpec.model_validate({"mitre_attack": detection.annotations.mitre_attack} | changes)
    return detection.model_copy(update={"annotations": spec})


def test_upstreams_annotations_are_what_its_rules_compute() -> None:
    said, computed = annotate(UPSTREAM), annotate(with_annotations(UPSTREAM))
    assert said == computed
    assert (said.kill_chain, said.nist, said.cis20, said.cve) == (("Installation",), ("DE.AE",), ("CIS 13",), ())
    assert [(one.id, one.name) for one in said.mitre_attack] == [("T1204", "User Execution")]
    assert said.tactics == ("Execution",)


def test_the_corrected_detection_is_about_exfiltration() -> None:
    found = annotate(CORRECTED)
    assert (found.tactics, found.kill_chain) == (("Exfiltration",), ("Actions on Objectives",))
    assert all(one.name for one in found.mitre_attack)


def test_rules_for_other_types_and_domains() -> None:
    other = CORRECTED.model_copy(update={"type": "TTP", "security_domain": "endpoint"})
    assert (annotate(other).nist, annotate(other).cis20) == (("DE.CM",), ("CIS 10",))


def test_what_a_detection_says_itself_wins_even_if_empty() -> None:
    mine = with_annotations(CORRECTED, kill_chain=[], nist=["PR.DS"])
    assert (annotate(mine).kill_chain, annotate(mine).nist) == ((), ("PR.DS",))


def test_an_unknown_technique_keeps_its_id() -> None:
    [one] = annotate(with_annotations(CORRECTED, mitre_attack=["T9999"])).mitre_attack
    assert (one.id, one.name, one.tactics) == ("T9999", "", ())


def test_every_tactic_has_a_kill_chain_phase() -> None:
    assert all(tactic in KILL_CHAIN for _, tactics in TECHNIQUES.values() for tactic in tactics)
