"""The sinks that come with the package, and their settings from a YAML file: the key `sinks`, name -> settings.

Mistakes are collected with their line and a hint into one ConfigError. What other rooms keep in the same file is left
alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

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
from ebbtide.document import Document, Refused, YamlPath, suggest, translate
from ebbtide.document import read as document_of
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

#: Settings are a page or two; a file beyond this is something else.
LARGEST_SETTINGS_BYTES = 1024 * 1024


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
    try:
        document = document_of(where, text, largest_bytes=LARGEST_SETTINGS_BYTES)
    except Refused as refused:
        sinks: dict[str, SinkSettings] = {}
        problems = [refused.problem]
    else:
        sinks, problems = read_sinks(document, environ, read, kinds)
        problems = [*document.twins, *problems]
    if problems:
        count = len(problems)
        raise ConfigError(
            f"{count} mistake{'s' if count > 1 else ''} in the sinks of {where}",
            hint="see docs/sinks.md for every key",
            problems=tuple(problems),
        )
    return sinks


def read_sinks(
    document: Document,
    environ: Mapping[str, str],
    read: Callable[[str], str],
    kinds: Mapping[str, type[SinkSettings]] = SINKS,
) -> tuple[dict[str, SinkSettings], list[Problem]]:
    """The sinks of a document that has been read, and what is wrong with them."""
    reading = _Reading(document, environ, read, kinds)
    return reading.sinks(), reading.problems


class _Reading:
    """One file being read, and what is wrong with it so far."""

    def __init__(
        self,
        document: Document,
        environ: Mapping[str, str],
        read: Callable[[str], str],
        kinds: Mapping[str, type[SinkSettings]],
    ) -> None:
        self._document, self._environ, self._read, self._kinds = document, environ, read, kinds
        self.problems: list[Problem] = []

    def sinks(self) -> dict[str, SinkSettings]:
        document = self._document.value
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
        place: YamlPath = ("sinks", name)
        if not _NAME.fullmatch(name):
            self._wrong(place, f"{name!r} is no name of a sink", "small letters, digits, - and _, at most 63")
            return None
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            self._wrong(place, f"the sink {name} has no type", f"say `type:` and one of {', '.join(self._kinds)}")
            return None
        model = self._kinds.get(value["type"])
        if model is None:
            hint = suggest(value["type"], self._kinds) or f"known are {', '.join(self._kinds)}"
            self._wrong((*place, "type"), f"there is no sink of type {value['type']!r}", hint)
            return None
        before = len(self.problems)
        filled = self._fill(value, place)
        if len(self.problems) > before:
            return None
        try:
            return model.model_validate(filled)
        except ValidationError as error:
            self.problems += translate(error, model, self._document, place)
            return None

    def _fill(self, value: object, place: YamlPath) -> object:
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

    def _wrong(self, place: YamlPath, message: str, hint: str) -> dict[str, SinkSettings]:
        self.problems.append(Problem(self._document.where(place), message, hint))
        return {}
