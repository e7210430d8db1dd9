"""A YAML text as values that know their line: how settings and detections are read, and their mistakes told.

YAML is hostile input: no tags, no aliases, bounded size and depth. Every mistake becomes a `Problem` with the line it
stands in and a hint. One way for all files a user writes, so that each mistake reads the same wherever it is made.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

import yaml
from pydantic import BaseModel, ValidationError

from ebbtide.errors import Problem

#: Nested deeper than this is no file of ours (the shipped ones need 4).
DEEPEST = 16
#: The parser in C, ten times as fast, where PyYAML was built with it; it builds the same values with the same lines.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

YamlPath = tuple[str | int, ...]


class Refused(Exception):
    """A text that is not read any further."""

    def __init__(self, where: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(where, message, hint)


@dataclass(frozen=True, slots=True)
class Document:
    """What a text says; None where it says nothing. `twins` are keys that stand twice, each a mistake."""

    name: str
    value: object
    lines: dict[YamlPath, int]
    twins: list[Problem] = field(default_factory=list)

    def where(self, path: YamlPath) -> str:
        """The file and the line of the deepest part of the path that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines.get(path, 1)}"


def read(name: str, text: str, *, largest_bytes: int, size_hint: str = "") -> Document:
    """The values of a text with their lines. Raises Refused for what is not YAML, or sets traps."""
    if len(text.encode("utf-8", "surrogatepass")) > largest_bytes:
        raise Refused(name, f"is larger than {largest_bytes // 1024} KiB", size_hint)
    try:
        _refuse_traps(name, text)
        loader = _Loader(text)
        node = loader.get_single_node()
        document = Document(name, None, {(): 1})
        if node is None:
            return document
        _note_lines(node, (), document)
        _try_scalars(node, loader, name)
        return Document(name, loader.construct_document(node), document.lines, document.twins)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise Refused(where, f"is not YAML: {error.problem or error.context}", "check indentation and quotes") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise Refused(name, f"is not YAML: {reason}", "check numbers, dates and characters") from None


def _refuse_traps(name: str, text: str) -> None:
    """Aliases (a small file may unfold to gigabytes), tags and deep nesting, before anything is built."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        where = f"{name}:{event.start_mark.line + 1 if event.start_mark else 1}"
        if isinstance(event, yaml.AliasEvent):
            raise Refused(where, f"alias *{event.anchor}: aliases are refused", "write the value out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise Refused(where, f"tag {tag}: tags are refused", "leave the tag out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise Refused(where, f"is nested more than {DEEPEST} deep", "check the brackets")


def _note_lines(node: yaml.Node, path: YamlPath, document: Document) -> None:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            _note_lines(item, (*path, position), document)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            line = key.start_mark.line + 1
            if here in document.lines:
                document.twins.append(Problem(f"{document.name}:{line}", f"`{key.value}` stands here twice"))
            document.lines[here] = line
            _note_lines(value, here, document)


def _try_scalars(node: yaml.Node, loader: yaml.SafeLoader, name: str) -> None:
    """Find the dates and numbers that cannot be read (31 February, 5000 digits) while their line is still known."""
    if isinstance(node, yaml.ScalarNode):
        try:
            loader.construct_object(node)
        except (ValueError, OverflowError) as error:
            where = f"{name}:{node.start_mark.line + 1}"
            raise Refused(where, f"`{node.value[:40]}` cannot be read: {error}", "put it in quotes?") from None
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _try_scalars(key, loader, name)
            _try_scalars(value, loader, name)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _try_scalars(item, loader, name)


def translate(
    error: ValidationError, model: type[BaseModel], document: Document, place: YamlPath = (), named: YamlPath = ()
) -> list[Problem]:
    """What is wrong with the part of a document at `place`, which `model` refused; keys are told below `named`."""
    return [
        Problem(document.where((*place, *one["loc"])), *_words(one["type"], one["loc"], one["msg"], model, named))
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _words(
    kind: str, loc: tuple[int | str, ...], message: str, model: type[BaseModel], named: YamlPath
) -> tuple[str, str]:
    """What a validation error says in our words, and a hint."""
    path = ".".join(str(part) for part in (*named, *loc))
    if kind == "extra_forbidden":
        keys = _keys_at(model, loc[:-1])
        return f"unknown key `{path}`", suggest(str(loc[-1]), keys) or f"known are {', '.join(sorted(keys))}"
    if kind == "missing":
        return f"`{path}` is missing", f"add `{loc[-1]}:`"
    said = message.removeprefix("Value error, ")
    return (f"`{path}`: {said}" if path else said), ""


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


def suggest(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, "" where none is near.

    >>> suggest("lenght", ["length", "gap"])
    'did you mean `length`?'
    """
    near = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean `{near[0]}`?" if near else ""
