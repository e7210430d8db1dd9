"""What several commands are told in the same words."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ebbtide.detect.catalogue import Catalogue, load, read_directory
from ebbtide.detect.detection import Detection, parse_duration
from ebbtide.errors import NoDataError, UsageError
from ebbtide.registry import load_detectors
from ebbtide.series import SECOND_NS
from ebbtide.store.store import Store

Db = Annotated[Path, typer.Option("--db", help="The store's file.", envvar="EBBTIDE_DB", show_default=True)]
DEFAULT_DB = Path("ebbtide.duckdb")
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout instead of tables.")]
Csv = Annotated[bool, typer.Option("--csv", help="CSV on stdout instead of tables.")]
Directory = Annotated[
    Path | None,
    typer.Option("--detections", help="A directory with detections of your own.", envvar="EBBTIDE_DETECTIONS"),
]
Ids = Annotated[
    list[str] | None,
    typer.Option(
        "--detection", "-d", help="A detection's id; may be given several times. Default: those of `ebbtide serve`."
    ),
]
Fail = Annotated[bool, typer.Option("--fail-on-findings", help="Exit with 1 if something is found and not filtered.")]

_GRID_NS = 10 * SECOND_NS
_SECONDS = re.compile(r"\d{1,11}(\.\d{1,9})?")


def parse_time(text: str) -> int:
    """Nanoseconds of RFC 3339 text (UTC if it names no zone) or of Unix seconds. Raises UsageError.

    >>> parse_time("2024-01-10T12:00:00Z") == parse_time("1704888000")
    True
    """
    if _SECONDS.fullmatch(text):
        whole, _, fraction = text.partition(".")
        return int(whole) * SECOND_NS + int((fraction or "").ljust(9, "0"))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text[:60]!r} is not a time", hint="write 2024-01-10T12:00:00Z, or Unix seconds such as 1704888000"
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1000


def parse_span(text: str) -> int:
    """Nanoseconds of a duration such as 15m. Raises UsageError."""
    try:
        span_ns = parse_duration(text)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if span_ns <= 0:
        raise UsageError(f"{text!r} is no time at all", hint="write a duration such as 15m, 1h or 30d")
    return span_ns


def load_catalogue(directory: Path | None) -> Catalogue:
    """The shipped detections and those of a directory."""
    return load(load_detectors(), read_directory(directory) if directory is not None else ())


def chosen(catalogue: Catalogue, ids: list[str] | None) -> list[Detection]:
    """The detections with these ids; those that run by default if none is named."""
    return [catalogue.get(one) for one in ids or catalogue.by_default()]


def span_of(store: Store) -> tuple[int, int]:
    """When the first sample begins and the last ends. Raises NoDataError for an empty store."""
    span = store.reading.span()
    if span is None:
        raise NoDataError(f"{store.path} holds no samples", hint="begin with: ebbtide import PATHS")
    return span


def instant(store: Store, at: str | None) -> int:
    """The instant asked for, or the first on the 10 s grid after everything stored."""
    last = span_of(store)[1]
    return parse_time(at) if at is not None else (last // _GRID_NS + 1) * _GRID_NS
