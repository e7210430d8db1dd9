"""What tells one HTTP protocol from another: its paths and formats going in, its words coming out.

`http` reads requests alike for all of them and asks the dialect for the rest. Called from the server's event loop;
nothing here waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from ebbtide.receive.receipt import Receipt
from ebbtide.receive.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request. Header names are in lower case, of repeated ones the first counts."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole response."""

    status: int
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """One protocol over HTTP."""

    name: str
    #: The word before the token in the Authorization header.
    scheme: str

    def without_body(self, request: Request, /) -> Answer | None:
        """The answer to requests that carry no data (health), None for all others. Raises Refusal."""
        ...

    def format_of(self, request: Request) -> str:
        """The decoder's name for a request with data. Raises Refusal for paths, methods and types that are not ours."""
        ...

    def encoding_of(self, request: Request) -> str:
        """The content encoding of the body."""
        ...

    def taken(self, request: Request, receipt: Receipt, content: bytes, /) -> Answer:
        """What the sender hears once the data of the unpacked body `content` is on disk."""
        ...

    def refused(self, request: Request, refusal: Refusal, /) -> Answer:
        """What the sender hears otherwise."""
        ...
