"""The detections there are: the shipped ones and the user's, read from YAML and checked, each mistake with its line.

Texts and their names come in, a `Catalogue` goes out; only `read_directory` touches the disk and stands at the border.
All mistakes of all files are collected into one ConfigError, so that they can be mended in one go.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ebbtide.detect.detection import Detection, Detectors
from ebbtide.document import Document, Refused, read, suggest, translate
from ebbtide.errors import ConfigError, NotFoundError, Problem

#: A detection is a page or two; a file beyond this is something else.
LARGEST_FILE_BYTES = 128 * 1024
#: So many mistakes of one file are told, the rest is counted.
MOST_PROBLEMS = 50


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
            hint = suggest(detection_id, self.detections) or f"known are {', '.join(self.detections) or 'none'}"
            raise NotFoundError(f"there is no detection {detection_id!r}", hint=hint)
        return self.detections[detection_id]

    def by_default(self, without: Container[str] = ()) -> tuple[str, ...]:
        """The ids that run where none is named: all that are not deprecated, nor part of another one that runs."""
        running = [id for id, one in self.detections.items() if one.status != "deprecated" and id not in without]
        return tuple(id for id in running if self.detections[id].part_of not in running)

    def with_changed(self, changed: Iterable[Detection]) -> Catalogue:
        """The same catalogue with these detections in the place of those with their ids; files stay as they are."""
        return Catalogue({**self.detections, **{one.id: one for one in changed}}, self.origin)


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
        document = read(file.name, file.text, largest_bytes=LARGEST_FILE_BYTES, size_hint="one detection per file")
    except Refused as refused:
        return None, [refused.problem]
    if not isinstance(document.value, dict):
        return None, [Problem(f"{file.name}:1", "is not a detection: no keys", "start with `id: my_detection`")]
    problems = list(document.twins)
    detection: Detection | None = None
    try:
        detection = Detection.model_validate(document.value)
    except ValidationError as error:
        problems += translate(error, Detection, document)
    if detection is not None:
        detection, wrong = _complete(detection, detectors, document)
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
            hint = suggest(detection.id, self.detections) or "leave `overrides` out"
            return f"`overrides: true`, but there is no shipped detection {detection.id!r}", hint
        for other in self.detections.values():
            if other.uuid == detection.uuid and other.id != detection.id:
                return f"the uuid {detection.uuid} is {other.id!r}'s", "a copy is a new detection: give it a new uuid"
        return None


def _complete(detection: Detection, detectors: Detectors, document: Document) -> tuple[Detection, list[Problem]]:
    """The detection with its detector's defaults filled in, and what is wrong with detector or options."""
    detector = detectors.get(detection.detector)
    if detector is None:
        hint = suggest(detection.detector, detectors) or f"known are {', '.join(sorted(detectors))}"
        return detection, [Problem(document.where(("detector",)), f"there is no detector {detection.detector!r}", hint)]
    try:
        options = detection.options_for(detector)
    except ValidationError as error:
        return detection, translate(error, detector.options, document, ("options",), ("options",))
    return detection.model_copy(update={"options": options.model_dump(mode="json")}), []
