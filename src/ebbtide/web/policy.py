"""A Kubernetes NetworkPolicy that allows an entity's workload what it usually sends to, and nothing else.

A starting point to be read before it is applied: telemetry names workloads, a policy selects pods by label, so labels
are to be filled in; and a policy knows no host names, so those are listed as comments.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

import yaml

from ebbtide.finding.text import one_line
from ebbtide.series import EndpointClass, Entity
from ebbtide.store.profile import Known

#: A destination is usual when it was talked to in at least this many hours.
USUAL_HOURS = 2
_MOST_RULES = 50
_DNS: dict[str, object] = {
    "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}


def egress_policy(entity: Entity, usual: Sequence[Known]) -> str:
    """The policy as YAML with comments. `usual` are the destinations to allow, the largest first."""
    rules, unnamed = _rules(usual[:_MOST_RULES])
    spec: dict[str, object] = {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": _label(entity.workload)}},
        "policyTypes": ["Egress"],
        "egress": [_DNS, *rules],
    }
    metadata = {"name": f"{_name(entity.workload)}-usual-egress", "namespace": _name(entity.namespace or "default")}
    document = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    comments = [
        f"# What {one_line(entity.workload or 'the workload')} usually sends to; all else is cut off.",
        "# Check the labels of podSelector against the pods before applying it.",
    ]
    if unnamed:
        comments.append("# Not in it, as a NetworkPolicy knows addresses only; allow them by address or a proxy:")
        comments += [f"#   {one_line(name)}" for name in unnamed]
    if len(usual) > _MOST_RULES:
        comments.append(f"# {len(usual) - _MOST_RULES} smaller destinations are left out.")
    return "\n".join(comments) + "\n" + yaml.safe_dump(document, sort_keys=False)


def usual_of(known: Sequence[Known], before_ns: int) -> list[Known]:
    """The destinations that were talked to in several hours, and first before an instant."""
    return [one for one in known if one.hours >= USUAL_HOURS and one.first_ns < before_ns and one.sent > 0]


def _rules(usual: Sequence[Known]) -> tuple[list[dict[str, object]], list[str]]:
    namespaces: dict[str, None] = {}
    blocks: dict[str, None] = {}
    unnamed: dict[str, None] = {}
    for one in usual:
        place = one.endpoint
        block = _block(place.workload)
        if place.kind is EndpointClass.INTERNAL and _is_name(place.namespace):
            namespaces[place.namespace] = None
        elif block is not None:
            blocks[block] = None
        elif place.kind is not EndpointClass.DNS:
            unnamed[place.workload or place.process or place.kind.value] = None
    rules: list[dict[str, object]] = [
        {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]} for name in namespaces
    ]
    if blocks:
        rules.append({"to": [{"ipBlock": {"cidr": block}} for block in blocks]})
    return rules, list(unnamed)


def _block(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return f"{address}/{address.max_prefixlen}"


def _is_name(text: str) -> bool:
    return re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", text) is not None


def _name(text: str) -> str:
    """The text as Kubernetes would name something."""
    return re.sub(r"[^a-z0-9-]+", "-", text.lower())[:40].strip("-") or "workload"


def _label(text: str) -> str:
    """The text as a label's value."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:63].strip("-_.") or "workload"
