"""A running service as commands see it: its JSON API over HTTP, with the errors a local store would give.

Whatever a command reads of a store it can read of a service, as the same records; what it decides the service keeps.
The standard library's client does it: no proxy of the environment, no redirect, answers of a bounded size.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

import typer

from ebbtide import __version__
from ebbtide.achieved import Achieved
from ebbtide.deliver.secret import read_secret
from ebbtide.deliver.server import server_of
from ebbtide.errors import DataError, EbbtideError, NotFoundError, ServiceError, UsageError
from ebbtide.finding.finding import Finding
from ebbtide.finding.form import from_json
from ebbtide.finding.text import one_line
from ebbtide.series import Entity

Server = Annotated[
    str | None,
    typer.Option(
        "--server", help="A running service's address, such as http://127.0.0.1:8765; instead of --db.",
        envvar="EBBTIDE_SERVER",
    ),
]  # fmt: skip
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", help="A file with the token that --server asks for.", envvar="EBBTIDE_TOKEN_FILE"),
]

_TIMEOUT_S: Final = 60.0
#: A copy of a large store takes its time before the first byte comes.
_BACKUP_S: Final = 3600.0
_ANSWER_BYTES: Final = 64 << 20
_PART_BYTES: Final = 1 << 20
_PAGE: Final = 500
#: Of lists of entities: each page reads what all of them sent.
_LONG_PAGE: Final = 5000
_KINDS: Final[dict[int, type[EbbtideError]]] = {404: NotFoundError, 400: DataError, 422: UsageError}


class Remote:
    """The API of one service. `Any`: documents of JSON, as the OpenAPI document describes them."""

    def __init__(self, url: str, token: str = "") -> None:
        """Raises UsageError for what is no address, and where a token would travel in the clear."""
        hint = "use https://, or forward its port to this machine"
        parts = server_of(url.rstrip("/"), token, example="http://127.0.0.1:8765, or https://...", plaintext_hint=hint)
        self._port, self._host = parts.port, parts.hostname or ""
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path}"
        self._is_tls, self._base = parts.scheme == "https", f"{parts.path}/api/v1"
        self._headers = {"User-Agent": f"ebbtide/{__version__}", "Accept": "application/json", "Connection": "close"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        """An answer. Raises NotFoundError, UsageError, DataError or ServiceError, as a local store would."""
        return self._ask("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, document: Mapping[str, object]) -> Any:
        """The answer to a document. Raises as `get`."""
        return self._ask("POST", path, document)

    def delete(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        """Have something forgotten; the answer, None where there is none. Raises as `get`."""
        return self._ask("DELETE", f"{path}?{urlencode(query)}" if query else path)

    def rows(
        self, path: str, name: str, query: Mapping[str, object] | None = None, *, is_long: bool = False
    ) -> list[Any]:
        """Every row of a list that comes in pages, `is_long`: in pages of thousands. Raises as `get`."""
        found: list[Any] = []
        after: str | None = ""
        while after is not None:
            page = self.get(path, {**(query or {}), "after": after, "limit": _LONG_PAGE if is_long else _PAGE})
            found += page[name]
            after = page["next"]
        return found

    def findings(self) -> list[Finding]:
        """Every finding in full, oldest first."""
        return [from_json(json.dumps(one)) for one in self.rows("/documents", "documents")]

    def budget(self) -> list[Achieved]:
        """What each of its detections told against its budget."""
        names = [field.name for field in dataclasses.fields(Achieved)]
        return [Achieved(**{name: one[name] for name in names}) for one in self.get("/health")["budget"]]

    def backup(self, to: Path) -> int:
        """Copy the service's store into a new file; its bytes. Raises DataError where there is one, and as `get`."""
        if to.exists():
            raise DataError(f"{to} exists", hint="a backup never overwrites; give a new name")
        partial = to.with_name(f"{to.name}.partial")
        try:
            with partial.open("wb") as file, self._answer("POST", "/backup", b"{}", _BACKUP_S) as answer:
                length = answer.length
                while part := answer.read(_PART_BYTES):
                    file.write(part)
                if length is None or file.tell() != length:
                    raise ServiceError(f"the copy from {self.url} was cut", hint="try again")
                file.flush()
                os.fsync(file.fileno())
            partial.rename(to)
        except OSError as error:
            raise ServiceError(f"cannot write {to}: {error.strerror}", hint="is the disk full?") from error
        finally:
            partial.unlink(missing_ok=True)
        return length

    def _ask(self, method: str, path: str, document: Mapping[str, object] | None = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        with self._answer(method, path, body, _TIMEOUT_S) as answer:
            said = answer.read(_ANSWER_BYTES)
            if answer.length:
                raise ServiceError(f"an answer of {self.url} has more than {_ANSWER_BYTES:,} bytes, or was cut")
        return self._parsed(said) if said else None

    def _parsed(self, said: bytes) -> Any:
        try:
            return json.loads(said)
        except ValueError:
            raise ServiceError(f"{self.url} does not answer as Ebbtide does", hint="is it the right address?") from None

    @contextmanager
    def _answer(
        self, method: str, path: str, body: bytes | None, timeout_s: float
    ) -> Iterator[http.client.HTTPResponse]:
        """A good answer, while it is read."""
        kind = http.client.HTTPSConnection if self._is_tls else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=timeout_s)
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            connection.request(method, self._base + path, body, headers)
            with connection.getresponse() as answer:
                if not 200 <= answer.status < 300:
                    raise self._refusal(answer.status, answer.read(_ANSWER_BYTES))
                yield answer
        except ssl.SSLError as error:
            text = f"no TLS with {self.url}: {one_line(str(error), 200)}"
            raise ServiceError(text, hint="name its authority in SSL_CERT_FILE") from None
        except TimeoutError:
            raise ServiceError(f"{self.url} did not answer within {timeout_s:g} s") from None
        except (ConnectionError, socket.gaierror, http.client.HTTPException) as error:
            text = f"{self.url} does not answer: {one_line(str(error), 200) or type(error).__name__}"
            raise ServiceError(text, hint="does the service run, and is this its `web.address`?") from None
        finally:
            connection.close()

    def _refusal(self, status: int, said: bytes) -> EbbtideError:
        """What the service says of a request it refuses, as the error that it was there."""
        try:
            known = json.loads(said)
            message, hint = str(known["message"]), str(known["hint"])
        except (ValueError, KeyError, TypeError):
            message, hint = f"{self.url} answered {status}", "is it the address of an Ebbtide service?"
        if status in (401, 403):
            hint = "give a token by --token-file or EBBTIDE_TOKEN_FILE" if status == 401 else hint
            return ServiceError(message, hint=hint)
        problems = [f"{one['where']}: {one['message']}" for one in known.get("problems", ())] if status == 422 else []
        return _KINDS.get(status, ServiceError)("; ".join([message, *problems]), hint=hint)


def remote_of(server: str | None, token_file: Path | None) -> Remote | None:
    """The service that was named; None for a store. Raises UsageError."""
    if server is None:
        return None
    try:
        token = "" if token_file is None else read_secret(str(token_file)).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the token in {token_file}: {error}") from None
    return Remote(server, token)


def in_path(name: str) -> str:
    """A name as one step of an address."""
    return quote(name, safe="")


def entity_of(answer: Mapping[str, str]) -> Entity:
    """The entity that an answer names."""
    return Entity(*(answer[part] for part in ("cluster", "namespace", "workload", "process")))


def in_whole_seconds(instant: str) -> str:
    """An instant of an answer as tables show it.

    >>> in_whole_seconds("2024-01-10T12:00:00.5Z")
    '2024-01-10T12:00:00Z'
    """
    return re.sub(r"\.\d+", "", instant)
