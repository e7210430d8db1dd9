"""Filters: what a team has decided not to be told about, by whom, why and until when.

They do the job of the upstream analytic's filter macro, in the matchers Alertmanager users know:
`{namespace="kube-system",process=~"curl|wget"}`. A filtered finding is kept and marked, never dropped. A filter must
not hide more than it says, so a matcher on a field with several values (metrics, destinations) holds only when it holds
for every value, destinations that are not listed included: an attacker who also sends a byte to a filtered address
stays visible. A finding about a fleet has the names of all its members.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ebbtide.errors import ConfigError
from ebbtide.finding.finding import HELD_BACK, Finding
from ebbtide.finding.pattern import Pattern, PatternError

Operator: TypeAlias = Literal["=", "!=", "=~", "!~"]

#: Stands for destinations that are not listed in the evidence.
OTHER_DESTINATIONS = "(others)"
#: Longer filters are refused.
LONGEST_FILTER = 4000


def _places(finding: Finding, read: Callable[[int], str]) -> tuple[str, ...]:
    evidence = finding.evidence
    if evidence.fleet:  # those of one member are listed, the others' are not
        return (*(read(position) for position in range(len(evidence.destinations))), OTHER_DESTINATIONS)
    if not evidence.destinations:
        return ()
    listed = tuple(read(position) for position in range(len(evidence.destinations)))
    return (*listed, OTHER_DESTINATIONS) if evidence.has_other_destinations else listed


#: What a matcher can look at, and the values a finding has there; none counts as one empty value.
FIELDS: dict[str, Callable[[Finding], tuple[str, ...]]] = {
    "cluster": lambda finding: (finding.entity.cluster,),
    "namespace": lambda finding: tuple(one.namespace for one in finding.entities),
    "workload": lambda finding: tuple(one.workload for one in finding.entities),
    "process": lambda finding: tuple(one.process for one in finding.entities),
    "uid": lambda finding: (finding.uid,),
    "detection": lambda finding: (finding.detection_id,),
    "detection.name": lambda finding: (finding.detection_name,),
    "detection.version": lambda finding: (finding.detection_version,),
    "type": lambda finding: (finding.annotations.type,),
    "story": lambda finding: finding.annotations.story,
    "technique": lambda finding: tuple(one.id for one in finding.annotations.mitre_attack),
    "tactic": lambda finding: finding.annotations.tactics,
    "metric": lambda finding: tuple(one.metric for one in finding.evidence.metrics),
    "destination": lambda finding: _places(finding, lambda i: finding.evidence.destinations[i].name),
    "destination.namespace": lambda finding: _places(
        finding, lambda i: finding.evidence.destinations[i].endpoint.namespace
    ),
    "destination.class": lambda finding: _places(
        finding, lambda i: finding.evidence.destinations[i].endpoint.kind.value
    ),
    "risk.object": lambda finding: (finding.risk.object,),
    "risk.object_type": lambda finding: (finding.risk.object_type,),
}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one field; `pattern` is there for `=~` and `!~`."""

    field: str
    operator: Operator
    value: str
    pattern: Pattern | None = dataclasses.field(default=None, compare=False)

    def accepts(self, value: str) -> bool:
        """Whether the condition holds for one value."""
        is_equal = value == self.value if self.pattern is None else self.pattern.matches(value)
        return is_equal != self.operator.startswith("!")

    def holds(self, finding: Finding) -> bool:
        """Whether the condition holds for every value the finding has in the field."""
        return all(self.accepts(value) for value in FIELDS[self.field](finding) or ("",))

    def __str__(self) -> str:
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.field}{self.operator}"{quoted}"'


@dataclass(frozen=True, slots=True)
class Filter:
    """Matchers that must all hold, and who answers for them.

    It hides from `created_ns` up to, not including, `expires_ns` (None: for ever). `hits` is how many findings it has
    hidden; a filter without hits for months can go.
    """

    id: str
    matchers: tuple[Matcher, ...]
    owner: str
    reason: str
    created_ns: int
    expires_ns: int | None = None
    hits: int = 0

    def is_active(self, now_ns: int) -> bool:
        """Whether it hides anything at this time."""
        return self.created_ns <= now_ns and (self.expires_ns is None or now_ns < self.expires_ns)

    def covers(self, finding: Finding) -> bool:
        """Whether all its matchers hold, active or not."""
        return all(matcher.holds(finding) for matcher in self.matchers)


@dataclass(frozen=True, slots=True)
class Filtered:
    """Findings with their marks, and the filters with their new hit counts, both in the order given."""

    findings: tuple[Finding, ...]
    filters: tuple[Filter, ...]


def apply(filters: Sequence[Filter], findings: Iterable[Finding], now_ns: int) -> Filtered:
    """Mark each finding with the active filters that cover it; earlier marks are replaced, but for `HELD_BACK`.

    A filter's hits grow by the findings it did not hide before, so that applying twice counts once.
    """
    hits = dict.fromkeys((one.id for one in filters), 0)
    active = [one for one in filters if one.is_active(now_ns)]
    marked = []
    for finding in findings:
        kept = tuple(mark for mark in finding.hidden_by if mark == HELD_BACK)
        hidden_by = kept + tuple(one.id for one in active if one.covers(finding))
        for id in hidden_by[len(kept) :]:
            hits[id] += id not in finding.hidden_by
        marked.append(dataclasses.replace(finding, hidden_by=hidden_by))
    return Filtered(tuple(marked), tuple(dataclasses.replace(one, hits=one.hits + hits[one.id]) for one in filters))


def matchers_text(matchers: Iterable[Matcher]) -> str:
    """The matchers as `parse_matchers` reads them."""
    return "{" + ",".join(str(matcher) for matcher in matchers) + "}"


def suggest(finding: Finding) -> tuple[Matcher, ...]:
    """The narrowest matchers by name that would have hidden this finding: its detection and its entity.

    Of a finding about a fleet nothing but itself: by its cluster it would hide all others, too.
    """
    if finding.evidence.fleet:
        return (Matcher("uid", "=", finding.uid),)
    entity = finding.entity
    columns = {
        "detection": finding.detection_id,
        "cluster": entity.cluster,
        "namespace": entity.namespace,
        "workload": entity.workload,
        "process": entity.process,
    }
    return tuple(Matcher(name, "=", value) for name, value in columns.items() if value)


_TOKEN = re.compile(r'\s*(?:([A-Za-z_][A-Za-z0-9_.]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"))\s*', re.DOTALL)


def parse_matchers(text: str, where: str = "filter") -> tuple[Matcher, ...]:
    """The matchers of `{field="value",other=~"pattern"}`; the braces may be left out.

    Values stand in double quotes, with `\\"`, `\\\\` and `\\n`; patterns match the whole value. Raises ConfigError with
    the position (`where`:column, from 1) for what is not that, for unknown fields, for patterns outside the language of
    `pattern`, and for matchers that would all accept an empty value: those hide everything.

    >>> [str(one) for one in parse_matchers('{namespace="kube-system", process=~"curl|wget"}')]
    ['namespace="kube-system"', 'process=~"curl|wget"']
    """
    if len(text) > LONGEST_FILTER:
        raise ConfigError(f"the filter is longer than {LONGEST_FILTER} characters", where=where)
    at = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    if text[at:end].startswith("{"):
        if not text[at:end].endswith("}"):
            raise _mistake(where, end, "`{` without `}`")
        at, end = at + 1, end - 1
    matchers: list[Matcher] = []
    while at < end:
        match = _TOKEN.match(text, at, end)
        if match is None:
            raise _mistake(where, at, f"{text[at:end][:30]!r} is no matcher")
        matchers.append(_matcher(match, where))
        at = match.end()
        if at < end:
            if text[at] != ",":
                raise _mistake(where, at, f"a comma is missing before {text[at:end][:30]!r}")
            at += 1
    if not any(not matcher.accepts("") for matcher in matchers):
        raise ConfigError(
            "the filter would hide everything", where=where, hint="name at least one value, such as a namespace"
        )
    return tuple(matchers)


def _matcher(match: re.Match[str], where: str) -> Matcher:
    field, operator, quoted = match[1], match[2], match[3]
    if field not in FIELDS:
        near = difflib.get_close_matches(field, FIELDS, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(FIELDS)}"
        raise ConfigError(f"there is no field {field!r}", where=f"{where}:{match.start(1) + 1}", hint=hint)
    value = re.sub(r"\\(.)", lambda one: {"n": "\n"}.get(one[1], one[1]), quoted[1:-1], flags=re.DOTALL)
    if operator in ("=", "!="):
        return Matcher(field, "=" if operator == "=" else "!=", value)
    # In a pattern a backslash is the pattern's own: only \" and \\ are the quotes' business.
    value = re.sub(r'\\(["\\])', r"\1", quoted[1:-1])
    try:
        return Matcher(field, "=~" if operator == "=~" else "!~", value, Pattern(value))
    except PatternError as error:
        raise ConfigError(
            f"the pattern {value[:60]!r} is refused: {error}",
            where=f"{where}:{match.start(3) + 1}",
            hint="patterns match the whole value; see docs/filters.md for what they may contain",
        ) from None


def _mistake(where: str, at: int, message: str) -> ConfigError:
    return ConfigError(message, where=f"{where}:{at + 1}", hint='write {namespace="kube-system",process=~"curl|wget"}')
