"""Every error Ebbtide raises on purpose.

    EbbtideError
    ├── UsageError        a wrong option or argument            exit 2
    ├── ConfigError       a wrong setting, detection or filter  exit 2   (file:line)
    ├── DataError         input that cannot be used             exit 3
    │   ├── DecodeError   a whole body that is not what it says it is
    │   ├── NoDataError   nothing stored where something was asked for
    │   └── NotFoundError no such finding, entity, detection ...
    └── ServiceError      the store or a peer is not available  exit 4
        └── StoreInUseError

An error says what was being done, with which value, where, and a hint for the operator. Bad *points* are not errors:
they are counted with their reason (`series.Counts`) and the rest of the batch goes on.
"""

from __future__ import annotations

from dataclasses import dataclass


class EbbtideError(Exception):
    """What went wrong, and what the operator can do.

    `message` is one sentence with the offending value in it, `where` a place such as `rules.yaml:12`, `hint` what to
    try.
    """

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.message}"


class UsageError(EbbtideError):
    """A wrong option or argument."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a user's file: where it stands, what is wrong, what to write instead."""

    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(EbbtideError):
    """One or more mistakes in a user's file, collected so that they can be mended in one go."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "", where: str = "", problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message, hint=hint, where=where)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"  {problem}" for problem in self.problems)])


class DataError(EbbtideError):
    """Input that cannot be used."""


class DecodeError(DataError):
    """A whole body that is not what it says it is: truncated protobuf, text that is not JSON, an unreadable Parquet."""


class NoDataError(DataError):
    """Nothing is stored where something was asked for."""


class NotFoundError(DataError):
    """No such finding, entity, detection, filter or preset."""


class ServiceError(EbbtideError):
    """The store or a peer is not available."""

    exit_code = 4


class StoreInUseError(ServiceError):
    """Another process holds the store's file."""
