"""The detections there are: the shipped ones and the user's, read from YAML and checked, each mistake with its line.

Texts and their names come in, a `Catalogue` goes out; only `read_directory` touches the disk and stands at the border.
All mistakes of all files are collected into one ConfigError, so that they can be mended in one go. YAML is hostile
input: no tags, no aliases, bounded size and depth.
"""

from __future__ import annotations

import difflib
import importlib.resources
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from ebbtide.detect.detection import Detection, Detectors
from ebbtide.errors import ConfigError, NotFoundError, Problem

#: A detection is a page or two; a file beyond this is something else.
LARGEST_FILE_BYTES = 128 * 1024
#: Nested deeper than this is no detection (the shipped ones need 4).
DEEPEST = 16
#: So many mistakes of one file are told, the rest is counted.
MOST_PROBLEMS = 50

YamlPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One YAML text and the name under which its mistakes are reported."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Detections by id, in the order of their ids; `origin` tells the file each came from."""

    detections: Mapping[str, Detection]
    origin: Mapping[str, str]

    def get(self, detection_id: str) -> Detection:
        """The detection with this id. Raises NotFoundError with the nearest id as a hint."""
        if detection_id not in self.detections:
            hint = _suggest(detection_id, self.detections) or f"known are {', '.join(self.detections) or 'none'}"
            raise NotFoundError(f"there is no detection {detection_id!r}", hint=hint)
        return self.detections[detection_id]


def shipped() -> tuple[SourceFile, ...]:
    """The detections that come with the package."""
    folder = importlib.resources.files("ebbtide.detect").joinpath("detections")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return tuple(SourceFile(file.name, file.read_text("utf-8")) for file in files)


def read_directory(path: Path) -> tuple[SourceFile, ...]:
    """The YAML files directly in a directory, by name. At the border: this alone touches the user's disk.

    Raises ConfigError where the directory or a file cannot be read, is too large or is not UTF-8.
    """
    files, problems = [], []
    try:
        names = sorted(file for file in path.iterdir() if file.suffix in (".yaml", ".yml"))
    except OSError as error:
        raise ConfigError(f"cannot read the detections in {path}: {error.strerror}", where=str(path)) from error
    for file in names:
        try:
            with file.open("rb") as stream:
                body = stream.read(LARGEST_FILE_BYTES + 1)
            files.append(SourceFile(str(file), body.decode("utf-8")))
        except OSError as error:
            problems.append(Problem(str(file), f"cannot be read: {error.strerror}"))
        except UnicodeDecodeError as error:
            problems.append(Problem(str(file), f"is not UTF-8 (byte {error.start})", "save it as UTF-8"))
    if problems:
        raise ConfigError(f"cannot read {len(problems)} of the detections in {path}", problems=tuple(problems))
    return tuple(files)


def load(detectors: Detectors, user_files: Iterable[SourceFile] = ()) -> Catalogue:
    """The shipped detections and the user's, checked, with complete options.

    A user's detection may take the place of a shipped one with the same id if it says `overrides: true`.
    Raises ConfigError with every mistake of every file.
    """
    catalogue = _Loading(detectors)
    for file in shipped():
        catalogue.add(file, is_shipped=True)
    for file in user_files:
        catalogue.add(file, is_shipped=False)
    if catalogue.problems:
        count = len(catalogue.problems)
        raise ConfigError(
            f"{count} mistake{'s' if count > 1 else ''} in the detections",
            hint="see docs/detections.md for every key",
            problems=tuple(catalogue.problems),
        )
    ids = sorted(catalogue.detections)
    return Catalogue({id: catalogue.detections[id] for id in ids}, {id: catalogue.origin[id] for id in ids})


def parse(file: SourceFile, detectors: Detectors) -> tuple[Detection | None, list[Problem]]:
    """One file's detection with complete options, or None and what is wrong with it."""
    try:
        document, lines = _read_yaml(file)
    except _Refused as refused:
        return None, [refused.problem]
    twins = [Problem(f"{file.name}:{line}", f"`{key}` stands here twice") for key, line in lines.twins]
    problems = twins
    detection: Detection | None = None
    try:
        detection = Detection.model_validate(document)
    except ValidationError as error:
        problems += _translate(error, Detection, file.name, lines)
    if detection is not None:
        detection, wrong = _complete(detection, detectors, file.name, lines)
        problems += wrong
    left_out = len(problems) - MOST_PROBLEMS
    if left_out > 0:
        problems = [*problems[:MOST_PROBLEMS], Problem(file.name, f"and {left_out} more mistakes")]
    return (None if problems else detection), problems


class _Loading:
    """What has been read so far."""

    def __init__(self, detectors: Detectors) -> None:
        self.detectors = detectors
        self.detections: dict[str, Detection] = {}
        self.origin: dict[str, str] = {}
        self.is_shipped: dict[str, bool] = {}
        self.problems: list[Problem] = []

    def add(self, file: SourceFile, *, is_shipped: bool) -> None:
        """Read one more file; what is wrong with it joins the problems."""
        detection, problems = parse(file, self.detectors)
        self.problems += problems
        if detection is None:
            return
        clash = self._clash(detection)
        if clash is None:
            self.detections[detection.id] = detection
            self.origin[detection.id] = file.name
            self.is_shipped[detection.id] = is_shipped
        else:
            message, hint = clash
            self.problems.append(Problem(f"{file.name}:1", message, hint))

    def _clash(self, detection: Detection) -> tuple[str, str] | None:
        same = self.detections.get(detection.id)
        if same is not None and not self.is_shipped[detection.id]:
            return f"the id {detection.id!r} is used in {self.origin[detection.id]} too", "give it another id"
        if same is not None and not detection.overrides:
            return f"the id {detection.id!r} is a shipped detection's", "say `overrides: true` to replace that one"
        if same is None and detection.overrides:
            hint = _suggest(detection.id, self.detections) or "leave `overrides` out"
            return f"`overrides: true`, but there is no shipped detection {detection.id!r}", hint
        for other in self.detections.values():
            if other.uuid == detection.uuid and other.id != detection.id:
                return f"the uuid {detection.uuid} is {other.id!r}'s", "a copy is a new detection: give it a new uuid"
        return None


@dataclass(frozen=True, slots=True)
class _Lines:
    """Where each key and item of a document stands, and which keys stand twice."""

    at: dict[YamlPath, int]
    twins: list[tuple[str, int]]

    def of(self, path: YamlPath) -> int:
        """The line of the deepest part of the path that the file has."""
        while path and path not in self.at:
            path = path[:-1]
        return self.at.get(path, 1)


class _Refused(Exception):
    """A text that is not read any further."""

    def __init__(self, where: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(where, message, hint)


def _read_yaml(file: SourceFile) -> tuple[object, _Lines]:
    if len(file.text.encode("utf-8", "surrogatepass")) > LARGEST_FILE_BYTES:
        raise _Refused(file.name, f"is larger than {LARGEST_FILE_BYTES // 1024} KiB", "one detection per file")
    try:
        _refuse_traps(file)
        loader = yaml.SafeLoader(file.text)
        node = loader.get_single_node()
        lines = _Lines({(): 1}, [])
        if not isinstance(node, yaml.MappingNode):
            raise _Refused(f"{file.name}:1", "is not a detection: no keys", "start with `id: my_detection`")
        _note_lines(node, (), lines)
        _try_scalars(node, loader, file.name)
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file.name}:{mark.line + 1}" if mark else file.name
        raise _Refused(
            where, f"is not YAML: {error.problem or error.context}", "check indentation and quotes"
        ) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise _Refused(file.name, f"is not YAML: {reason}", "check numbers, dates and characters") from None


def _refuse_traps(file: SourceFile) -> None:
    """Aliases (a small file may unfold to gigabytes), tags and deep nesting, before anything is built."""
    depth = 0
    for event in yaml.parse(file.text, yaml.SafeLoader):
        where = f"{file.name}:{event.start_mark.line + 1 if event.start_mark else 1}"
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(where, f"alias *{event.anchor}: aliases are refused", "write the value out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _Refused(where, f"tag {tag}: tags are refused", "leave the tag out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _Refused(where, f"is nested more than {DEEPEST} deep", "check the brackets")


def _note_lines(node: yaml.Node, path: YamlPath, lines: _Lines) -> None:
    lines.at.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            _note_lines(item, (*path, position), lines)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            if here in lines.at:
                lines.twins.append((str(key.value), key.start_mark.line + 1))
            lines.at[here] = key.start_mark.line + 1
            _note_lines(value, here, lines)


def _try_scalars(node: yaml.Node, loader: yaml.SafeLoader, name: str) -> None:
    """Find the dates and numbers that cannot be read (31 February, 5000 digits) while their line is still known."""
    if isinstance(node, yaml.ScalarNode):
        try:
            loader.construct_object(node)
        except (ValueError, OverflowError) as error:
            where = f"{name}:{node.start_mark.line + 1}"
            raise _Refused(where, f"`{node.value[:40]}` cannot be read: {error}", "put it in quotes?") from None
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _try_scalars(key, loader, name)
            _try_scalars(value, loader, name)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _try_scalars(item, loader, name)


def _complete(detection: Detection, detectors: Detectors, name: str, lines: _Lines) -> tuple[Detection, list[Problem]]:
    """The detection with its detector's defaults filled in, and what is wrong with detector or options."""
    detector = detectors.get(detection.detector)
    if detector is None:
        hint = _suggest(detection.detector, detectors) or f"known are {', '.join(sorted(detectors))}"
        where = f"{name}:{lines.of(('detector',))}"
        return detection, [Problem(where, f"there is no detector {detection.detector!r}", hint)]
    try:
        options = detection.options_for(detector)
    except ValidationError as error:
        return detection, _translate(error, detector.options, name, lines, ("options",))
    return detection.model_copy(update={"options": options.model_dump(mode="json")}), []


def _translate(
    error: ValidationError, model: type[BaseModel], name: str, lines: _Lines, prefix: YamlPath = ()
) -> list[Problem]:
    return [
        Problem(
            f"{name}:{lines.of((*prefix, *one['loc']))}", *_words(one["type"], one["loc"], one["msg"], model, prefix)
        )
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _words(
    kind: str, loc: tuple[int | str, ...], message: str, model: type[BaseModel], prefix: YamlPath
) -> tuple[str, str]:
    """What a validation error says in our words, and a hint."""
    path = ".".join(str(part) for part in (*prefix, *loc))
    if kind == "extra_forbidden":
        keys = _keys_at(model, loc[:-1])
        return f"unknown key `{path}`", _suggest(str(loc[-1]), keys) or f"known are {', '.join(sorted(keys))}"
    if kind == "missing":
        return f"`{path}` is missing", f"add `{loc[-1]}:`"
    return f"`{path}`: {message.removeprefix('Value error, ')}", ""


def _keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys a model knows at a place inside it; none where the place holds no model."""
    for part in loc:
        if isinstance(part, int):
            continue
        named = {field.alias or key: field for key, field in model.model_fields.items()}
        inner = _model_in(named[part].annotation) if part in named else None
        if inner is None:
            return []
        model = inner
    return [field.alias or key for key, field in model.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model an annotation is, or is a tuple of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(inner) for inner in getattr(annotation, "__args__", ()))
    return next((inner for inner in found if inner is not None), None)


def _suggest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean `{near[0]}`?" if near else ""
