"""The sinks that come with the package, and their settings from a YAML file: the key `sinks`, name -> settings.

Mistakes are collected with their line and a hint into one ConfigError. What other rooms keep in the same file is left
alone. YAML is read without aliases and tags.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping

import yaml
from pydantic import ValidationError

from ebbtide.deliver.alertmanager import AlertmanagerSettings
from ebbtide.deliver.apprise import AppriseSettings
from ebbtide.deliver.lines import LinesSettings
from ebbtide.deliver.otlp_logs import OtlpLogsSettings
from ebbtide.deliver.secret import fill
from ebbtide.deliver.sink import SinkSettings
from ebbtide.deliver.splunk_hec import SplunkHecSettings
from ebbtide.deliver.syslog import SyslogSettings
from ebbtide.deliver.webhook import WebhookSettings
from ebbtide.errors import ConfigError, Problem

#: Settings by the `type` they are for.
SINKS: Mapping[str, type[SinkSettings]] = {
    one.kind: one
    for one in (
        AlertmanagerSettings,
        AppriseSettings,
        LinesSettings,
        OtlpLogsSettings,
        SplunkHecSettings,
        SyslogSettings,
        WebhookSettings,
    )
}
_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")

Path = tuple[str | int, ...]


def load_sinks(
    text: str,
    where: str,
    environ: Mapping[str, str],
    read: Callable[[str], str],
    kinds: Mapping[str, type[SinkSettings]] = SINKS,
) -> dict[str, SinkSettings]:
    """The sinks of a settings file by name, in its order; none where it has no key `sinks`.

    `where` is the file's name for mistakes, `environ` and `read` fill `${env:NAME}` and `${file:PATH}`.
    Raises ConfigError with every mistake.
    """
    reading = _Reading(where, environ, read, kinds)
    sinks = reading.sinks(text)
    if reading.problems:
        count = len(reading.problems)
        raise ConfigError(
            f"{count} mistake{'s' if count > 1 else ''} in the sinks of {where}",
            hint="see docs/sinks.md for every key",
            problems=tuple(reading.problems),
        )
    return sinks


class _Reading:
    """One file being read, and what is wrong with it so far."""

    def __init__(
        self,
        where: str,
        environ: Mapping[str, str],
        read: Callable[[str], str],
        kinds: Mapping[str, type[SinkSettings]],
    ) -> None:
        self._where, self._environ, self._read, self._kinds = where, environ, read, kinds
        self._lines: dict[Path, int] = {}
        self.problems: list[Problem] = []

    def sinks(self, text: str) -> dict[str, SinkSettings]:
        document = self._document(text)
        if document is None:
            return {}
        if not isinstance(document, dict):
            return self._wrong((), "the settings have no keys", "start with `sinks:`")
        named = document.get("sinks") or {}
        if not isinstance(named, dict):
            return self._wrong(("sinks",), "`sinks` is not a mapping", "write each sink as `name:` and its settings")
        found = {str(name): self._sink(str(name), value) for name, value in named.items()}
        return {name: one for name, one in found.items() if one is not None}

    def _sink(self, name: str, value: object) -> SinkSettings | None:
        place: Path = ("sinks", name)
        if not _NAME.fullmatch(name):
            self._wrong(place, f"{name!r} is no name of a sink", "small letters, digits, - and _, at most 63")
            return None
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            self._wrong(place, f"the sink {name} has no type", f"say `type:` and one of {', '.join(self._kinds)}")
            return None
        model = self._kinds.get(value["type"])
        if model is None:
            hint = _suggest(value["type"], self._kinds)
            self._wrong((*place, "type"), f"there is no sink of type {value['type']!r}", hint)
            return None
        before = len(self.problems)
        filled = self._fill(value, place)
        if len(self.problems) > before:
            return None
        try:
            return model.model_validate(filled)
        except ValidationError as error:
            self._translate(error, model, place)
            return None

    def _fill(self, value: object, place: Path) -> object:
        if isinstance(value, dict):
            return {key: self._fill(inner, (*place, str(key))) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._fill(inner, (*place, at)) for at, inner in enumerate(value)]
        if not isinstance(value, str):
            return value
        try:
            return fill(value, self._environ, self._read)
        except ValueError as error:
            self._wrong(place, f"`{place[-1]}`: {error}", "")
            return ""

    def _translate(self, error: ValidationError, model: type[SinkSettings], place: Path) -> None:
        for one in error.errors(include_url=False, include_context=False, include_input=False):
            path = ".".join(str(part) for part in one["loc"])
            if one["type"] == "extra_forbidden":
                hint = _suggest(str(one["loc"][-1]), model.model_fields) if len(one["loc"]) == 1 else ""
                self._wrong((*place, *one["loc"]), f"unknown key `{path}`", hint)
            elif one["type"] == "missing":
                self._wrong((*place, *one["loc"]), f"`{path}` is missing", f"add `{path}:`")
            else:
                said = one["msg"].removeprefix("Value error, ")
                self._wrong((*place, *one["loc"]), f"`{path}`: {said}" if path else said, "")

    def _wrong(self, place: Path, message: str, hint: str) -> dict[str, SinkSettings]:
        while place and place not in self._lines:
            place = place[:-1]
        self.problems.append(Problem(f"{self._where}:{self._lines.get(place, 1)}", message, hint))
        return {}

    def _document(self, text: str) -> object:
        try:
            for event in yaml.parse(text, yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
                    line = event.start_mark.line + 1 if event.start_mark else 1
                    raise ValueError(f"line {line}: aliases and tags are refused")
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
            if node is None:
                return None
            self._note(node, ())
            document: object = loader.construct_document(node)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._lines[()] = mark.line + 1 if mark else 1
            self._wrong((), f"not YAML: {error.problem or error.context}", "check indentation and quotes")
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            self._wrong((), f"not YAML: {str(error).splitlines()[0]}", "check numbers, dates and characters")
        else:
            return document
        return None

    def _note(self, node: yaml.Node, place: Path) -> None:
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            for at, item in enumerate(node.value):
                self._note(item, (*place, at))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                here = (*place, str(key.value))
                if here in self._lines:
                    self._wrong(here, f"`{key.value}` stands twice, again in line {key.start_mark.line + 1}", "")
                self._lines[here] = key.start_mark.line + 1
                self._note(value, here)


def _suggest(word: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean `{near[0]}`?" if near else f"known are {', '.join(known)}"
