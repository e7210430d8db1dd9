"""Lines: each change as one line of JSON, or of a template, to a file or to standard output.

Confirmed by the disk: the line is flushed and synced before `send` returns. A line is written whole or not at all, and
the file is opened anew each time, so that it can be rotated. To standard output nothing is synced.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from ebbtide.deliver.message import to_object
from ebbtide.deliver.ocsf import to_event
from ebbtide.deliver.sink import Delivery, Outcome, Retryable, Sink, SinkSettings
from ebbtide.deliver.together import held
from ebbtide.deliver.wording import Format, check_template, render


class LinesSettings(SinkSettings):
    """`path` is the file, `-` standard output. `template` None writes JSON in `form`.

    A template's tokens are escaped for `format`: `csv` makes each one cell that no spreadsheet runs.
    """

    kind: ClassVar[str] = "lines"

    type: Literal["lines"]
    path: str
    form: Literal["ebbtide", "ocsf"] = "ebbtide"
    template: Annotated[str, AfterValidator(check_template)] | None = None
    format: Literal[Format.TEXT, Format.CSV] = Format.TEXT

    @property
    def target(self) -> str:
        """The file, or `stdout`."""
        return "stdout" if self.path == "-" else self.path

    def open(self) -> Sink:
        """A sink that appends."""
        return Lines(self)


class Lines:
    """Appends lines; while several changes wait, all of them before the file is synced once."""

    def __init__(self, settings: LinesSettings) -> None:
        self._settings = settings

    def send(self, delivery: Delivery, now_ns: int) -> None:  # noqa: ARG002  (a line holds the change's own time)
        """Append the line. Raises Retryable where the disk does not take it."""
        self._append([delivery])

    def send_together(self, deliveries: Sequence[Delivery], now_ns: int) -> list[Outcome]:  # noqa: ARG002  as `send`
        """Append the lines, all or none of them."""
        try:
            self._append(deliveries)
        except Retryable as error:
            return [error, *(held() for _ in deliveries[1:])]
        return [None for _ in deliveries]

    def _append(self, deliveries: Sequence[Delivery]) -> None:
        lines = b"".join(self._line(one).encode("utf-8", "replace") + b"\n" for one in deliveries)
        try:
            if self._settings.path == "-":
                sys.stdout.buffer.write(lines)
                sys.stdout.buffer.flush()
            else:
                append(Path(self._settings.path), lines)
        except OSError as error:
            raise Retryable(f"cannot write to {self._settings.target}: {error.strerror or error}") from None

    def close(self) -> None:
        """Nothing is kept open."""

    def _line(self, delivery: Delivery) -> str:
        settings = self._settings
        if settings.template is not None:
            return render(settings.template, delivery, settings.format).replace("\r", " ").replace("\n", " ")
        found = to_event(delivery) if settings.form == "ocsf" else to_object(delivery)
        return json.dumps(found, separators=(",", ":"), allow_nan=False)


def append(path: Path, line: bytes) -> None:
    """Add a line to a file, durably, whole or not at all. Raises OSError, after which the file is as it was.

    A new file can be read by its owner only. One writer: what others append meanwhile may be cut off with a half line.
    """
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        before = os.fstat(handle).st_size
        try:
            if os.write(handle, line) != len(line):
                raise OSError("no space for the whole line")
            os.fsync(handle)
        except OSError:
            if os.fstat(handle).st_size > before:
                os.ftruncate(handle, before)
            raise
    finally:
        os.close(handle)
