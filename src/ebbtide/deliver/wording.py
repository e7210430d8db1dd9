"""The words of a delivery: the tokens of templates, escaped for the format that is spoken, and the severity.

Names in a finding come from processes an attacker may run. A template is the operator's and is taken as it is; each
value that is filled in is first made one harmless line, then escaped, and is never looked at again.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from enum import StrEnum

from ebbtide.deliver.sink import Delivery
from ebbtide.detect.detection import TOKEN
from ebbtide.finding.evidence import DestinationShare
from ebbtide.finding.text import bytes_text, one_line, rfc3339
from ebbtide.finding.upstream import number_text

#: A value is cut after this many characters.
LONGEST_VALUE = 1000

#: What `$...$` in a sink's template may say.
TOKENS = (
    "change", "cluster", "count", "destinations", "detection", "detection_id", "entity", "headline", "last", "link",
    "message", "namespace", "opened", "process", "risk_object", "risk_score", "severity", "tactics", "techniques",
    "test", "uid", "workload",
)  # fmt: skip


class Format(StrEnum):
    """What a template's text is read as."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    CSV = "csv"


#: Characters that mean something in some chat's markup; a backslash keeps them from it (CommonMark, 2.4).
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-!|~&])")
#: A zero-width space after these keeps `@everyone` from ringing and a name from becoming a link.
_TRIGGERS = re.compile(r"(@|:(?=//)|(?<=\bwww)\.)")
#: A cell that begins so is run by spreadsheets (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def for_markdown(text: str) -> str:
    r"""The text without any markup, mention or link of its own.

    >>> print(for_markdown("*x* <!here>"))
    \*x\* \<\!here\>
    """
    return _MARKUP.sub(r"\\\1", _TRIGGERS.sub("\\1\u200b", text))


def for_cell(text: str) -> str:
    """The text as one CSV cell that no spreadsheet runs (RFC 4180).

    >>> print(for_cell('=1+"a"'))
    "'=1+""a\"""
    """
    safe = f"'{text}" if text.startswith(_FORMULA) else text
    return '"' + safe.replace('"', '""') + '"'


_ESCAPES: Mapping[Format, Callable[[str], str]] = {
    Format.TEXT: str,
    Format.MARKDOWN: for_markdown,
    Format.HTML: html.escape,
    Format.CSV: for_cell,
}


def render(template: str, delivery: Delivery, form: Format) -> str:
    """The template with its tokens filled and escaped; unknown ones stay as they are.

    In markup a link stays one: it is ours, not the finding's.
    """
    values, escape = tokens_of(delivery), _ESCAPES[form]

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if name not in values:
            return match[0]
        return values[name] if name == "link" and form is Format.MARKDOWN else escape(values[name])

    return TOKEN.sub(fill, template)


def check_template(template: str) -> str:
    """The template itself. Raises ValueError where it has a token that does not exist."""
    unknown = [token for token in TOKEN.findall(template) if token not in TOKENS]
    if unknown:
        raise ValueError(f"unknown token ${unknown[0]}$; known are {', '.join(TOKENS)}")
    return template


def tokens_of(delivery: Delivery) -> dict[str, str]:
    """What each token stands for, one harmless line each but not escaped; what is not known reads `-`."""
    finding = delivery.finding
    entity = finding.entity
    values = {
        "change": delivery.word,
        "cluster": entity.cluster or "-",
        "count": str(finding.count),
        "destinations": ", ".join(_destination(one) for one in finding.evidence.destinations[:3]) or "-",
        "detection": finding.detection_name,
        "detection_id": finding.detection_id,
        "entity": str(entity),
        "headline": finding.headline,
        "last": rfc3339(finding.end_ns),
        "link": delivery.link,
        "message": finding.message,
        "namespace": entity.namespace or "-",
        "opened": rfc3339(finding.opened_ns),
        "process": entity.process or "-",
        "risk_object": finding.risk.object or "-",
        "risk_score": number_text(finding.risk.score),
        "severity": severity(finding.risk.score),
        "tactics": ", ".join(finding.annotations.tactics) or "-",
        "techniques": ", ".join(one.id for one in finding.annotations.mitre_attack) or "-",
        "uid": finding.uid,
        "workload": entity.workload or "-",
    }
    lines = {name: one_line(value, LONGEST_VALUE) for name, value in values.items()}
    return {**lines, "test": "TEST " if delivery.is_test else ""}


def _destination(one: DestinationShare) -> str:
    new = ", new" if one.first_seen_ns is None else ""
    return f"{one_line(one.name)} ({bytes_text(one.bytes)}{new})"


def severity(score: float) -> str:
    """The word for a risk score, by the bands of Splunk's content.

    >>> [severity(score) for score in (20, 25, 41, 80, 81)]
    ['informational', 'low', 'medium', 'high', 'critical']
    """
    words = ((20, "informational"), (40, "low"), (60, "medium"), (80, "high"))
    return next((word for most, word in words if score <= most), "critical")
