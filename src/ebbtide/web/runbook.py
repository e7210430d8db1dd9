"""What now: the steps from a finding to a decision, with commands that can be copied as they are.

Names come from whoever runs in the cluster, so each is quoted for a shell before it stands in a command.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from ebbtide.finding.finding import Finding
from ebbtide.finding.text import one_line, rfc3339
from ebbtide.series import HOUR_NS


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, why, and the command for it ("" where there is none)."""

    title: str
    text: str
    command: str = ""


def steps(finding: Finding) -> list[Step]:
    """How to look at the pod, how to contain it, what to keep.

    Of a finding about many the pod of its riskiest process; of one about a receiver first what changed at the receiver.
    """
    entity = finding.riskiest
    namespace = f" --namespace {_word(entity.namespace)}" if entity.namespace else ""
    workload, process = _word(entity.workload or "WORKLOAD"), one_line(entity.process) or "its processes"
    since = rfc3339((finding.opened_ns - HOUR_NS) // 10**9 * 10**9)
    return [
        *_of_receiver(finding),
        Step(
            "Find the pods",
            "Which run now, on which node, since when, from which image.",
            f"kubectl get pods{namespace} --output wide | grep --fixed-strings -- {workload}",
        ),
        Step(
            "What changed before it",
            "A rollout or a scaling just before it began explains most harmless findings.",
            f"kubectl get events{namespace} --sort-by=.lastTimestamp | grep --fixed-strings -- {workload}",
        ),
        Step(
            f"Look at {process} in the pod",
            "Its command line, parent and open connections. The debug container changes nothing in the pod.",
            f"kubectl debug{namespace} -it POD --image=busybox --target=CONTAINER -- sh -c 'ps; netstat -tnp'",
        ),
        Step(
            "Read its log",
            "From an hour before the finding on.",
            f"kubectl logs{namespace} POD --all-containers --since-time={since}",
        ),
        Step(
            "Contain it",
            "Label the pod, so that a policy for quarantined pods (below) cuts it off; it keeps running for forensics.",
            f"kubectl label{namespace} pod POD ebbtide.io/quarantine=true",
        ),
    ]


def _of_receiver(finding: Finding) -> list[Step]:
    """What to look at first where many send more to one workload."""
    receiver = finding.entity
    if not finding.evidence.fleet or not receiver.workload:
        return []
    namespace = f" --namespace {_word(receiver.namespace)}" if receiver.namespace else ""
    name = one_line(receiver.workload)
    return [
        Step(
            f"What changed at {name}",
            "Many send more to it: it was scaled out, asks again and again, or what shall leave is gathered there.",
            f"kubectl get events{namespace} --sort-by=.lastTimestamp | grep --fixed-strings -- {_word(name)}",
        )
    ]


#: Cuts off whatever carries the label of the last step.
QUARANTINE = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: ebbtide-quarantine
spec:
  podSelector:
    matchLabels:
      ebbtide.io/quarantine: "true"
  policyTypes: [Ingress, Egress]
"""


def repeat_command(finding: Finding, db: str) -> str:
    """The command that evaluates again what the finding was found in."""
    at = rfc3339(finding.at_ns)
    return f"ebbtide detect --db {shlex.quote(db)} --detection {finding.detection_id} --at {at} --no-keep"


def _word(text: str) -> str:
    return shlex.quote(one_line(text))
