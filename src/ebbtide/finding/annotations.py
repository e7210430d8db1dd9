"""What a finding means in the frameworks analysts use: ATT&CK, kill chain, NIST, CIS, CVE.

Upstream computes most of these from the technique and the type, so they are computed here by the same rules; what a
detection states itself wins. Sources: attack.mitre.org (names and tactics of the Enterprise matrix),
splunk/contentctl `contentctl/objects/constants.py` (tactic to kill chain phase) and its annotation rules.
"""

from __future__ import annotations

from dataclasses import dataclass

from ebbtide.detect.detection import Detection

#: Kill chain phase of each tactic, as upstream's build tool maps them.
KILL_CHAIN = {
    "Reconnaissance": "Reconnaissance",
    "Resource Development": "Weaponization",
    "Initial Access": "Delivery",
    "Execution": "Installation",
    "Persistence": "Installation",
    "Privilege Escalation": "Exploitation",
    "Defense Evasion": "Exploitation",
    "Credential Access": "Exploitation",
    "Discovery": "Exploitation",
    "Lateral Movement": "Exploitation",
    "Collection": "Exploitation",
    "Command and Control": "Command and Control",
    "Exfiltration": "Actions on Objectives",
    "Impact": "Actions on Objectives",
}

#: Name and tactics of the techniques that network volume can speak to. Others keep their id, without a name.
TECHNIQUES = {
    "T1020": ("Automated Exfiltration", ("Exfiltration",)),
    "T1021": ("Remote Services", ("Lateral Movement",)),
    "T1029": ("Scheduled Transfer", ("Exfiltration",)),
    "T1030": ("Data Transfer Size Limits", ("Exfiltration",)),
    "T1041": ("Exfiltration Over C2 Channel", ("Exfiltration",)),
    "T1046": ("Network Service Discovery", ("Discovery",)),
    "T1048": ("Exfiltration Over Alternative Protocol", ("Exfiltration",)),
    "T1048.001": ("Exfiltration Over Symmetric Encrypted Non-C2 Protocol", ("Exfiltration",)),
    "T1048.002": ("Exfiltration Over Asymmetric Encrypted Non-C2 Protocol", ("Exfiltration",)),
    "T1048.003": ("Exfiltration Over Unencrypted Non-C2 Protocol", ("Exfiltration",)),
    "T1059": ("Command and Scripting Interpreter", ("Execution",)),
    "T1071": ("Application Layer Protocol", ("Command and Control",)),
    "T1071.001": ("Web Protocols", ("Command and Control",)),
    "T1071.004": ("DNS", ("Command and Control",)),
    "T1090": ("Proxy", ("Command and Control",)),
    "T1095": ("Non-Application Layer Protocol", ("Command and Control",)),
    "T1105": ("Ingress Tool Transfer", ("Command and Control",)),
    "T1204": ("User Execution", ("Execution",)),
    "T1204.003": ("Malicious Image", ("Execution",)),
    "T1496": ("Resource Hijacking", ("Impact",)),
    "T1498": ("Network Denial of Service", ("Impact",)),
    "T1499": ("Endpoint Denial of Service", ("Impact",)),
    "T1537": ("Transfer Data to Cloud Account", ("Exfiltration",)),
    "T1552.005": ("Cloud Instance Metadata API", ("Credential Access",)),
    "T1567": ("Exfiltration Over Web Service", ("Exfiltration",)),
    "T1567.001": ("Exfiltration to Code Repository", ("Exfiltration",)),
    "T1567.002": ("Exfiltration to Cloud Storage", ("Exfiltration",)),
    "T1567.003": ("Exfiltration to Text Storage Sites", ("Exfiltration",)),
    "T1567.004": ("Exfiltration Over Webhook", ("Exfiltration",)),
    "T1570": ("Lateral Tool Transfer", ("Lateral Movement",)),
    "T1571": ("Non-Standard Port", ("Command and Control",)),
    "T1572": ("Protocol Tunneling", ("Command and Control",)),
    "T1609": ("Container Administration Command", ("Execution",)),
    "T1611": ("Escape to Host", ("Privilege Escalation",)),
}


@dataclass(frozen=True, slots=True)
class Technique:
    """An ATT&CK technique; `name` is "" and `tactics` empty where the id is not in `TECHNIQUES`."""

    id: str
    name: str
    tactics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Annotations:
    """A detection's place in the frameworks, complete."""

    mitre_attack: tuple[Technique, ...]
    kill_chain: tuple[str, ...]
    nist: tuple[str, ...]
    cis20: tuple[str, ...]
    cve: tuple[str, ...]
    story: tuple[str, ...]
    type: str
    security_domain: str

    @property
    def tactics(self) -> tuple[str, ...]:
        """The tactics of all techniques, each once, in their order."""
        return tuple(dict.fromkeys(tactic for technique in self.mitre_attack for tactic in technique.tactics))


def annotate(detection: Detection) -> Annotations:
    """The detection's annotations, those it leaves out computed.

    Kill chain: the phases of the techniques' tactics. NIST: DE.CM for a TTP, else DE.AE. CIS: CIS 13 for the network
    domain, else CIS 10.
    """
    said = detection.annotations
    techniques = tuple(Technique(id, *TECHNIQUES.get(id, ("", ()))) for id in said.mitre_attack)
    tactics = [tactic for technique in techniques for tactic in technique.tactics]
    phases = tuple(dict.fromkeys(KILL_CHAIN[tactic] for tactic in tactics))
    nist = ("DE.CM",) if detection.type == "TTP" else ("DE.AE",)
    cis20 = ("CIS 13",) if detection.security_domain == "network" else ("CIS 10",)
    return Annotations(
        techniques,
        phases if said.kill_chain is None else said.kill_chain,
        nist if said.nist is None else said.nist,
        cis20 if said.cis20 is None else said.cis20,
        said.cve,
        detection.story,
        detection.type,
        detection.security_domain,
    )
