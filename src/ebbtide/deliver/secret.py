"""Settings that must not stand in a file: `${env:NAME}` and `${file:PATH}` in place of the value.

Any text of a sink's settings may hold such references; those marked `Secret` must come from one, so that no token ends
up in a repository. A reference that cannot be filled is a mistake of the settings, told with its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, SecretStr

_REFERENCE = re.compile(r"\$\{([^:}]*):([^}]*)\}")
#: A token or certificate is far shorter; a larger file is the wrong one.
LARGEST_SECRET_BYTES = 64 * 1024


class Filled(str):
    """Text that came from references, not from the settings file."""

    __slots__ = ()


def fill(text: str, environ: Mapping[str, str], read: Callable[[str], str]) -> str:
    """The text with its references filled; `Filled` if it had any. Raises ValueError naming the one that cannot be.

    >>> fill("https://${env:HOST}/x", {"HOST": "example.com"}, str)
    'https://example.com/x'
    """
    if "${" not in text:
        return text
    return Filled(_REFERENCE.sub(lambda match: _lookup(match, environ, read), text))


def _lookup(match: re.Match[str], environ: Mapping[str, str], read: Callable[[str], str]) -> str:
    kind, name = match.groups()
    if kind == "env":
        if name not in environ:
            raise ValueError(f"the environment has no {name!r}")
        return environ[name]
    if kind != "file":
        raise ValueError(f"{match[0]} is neither ${{env:NAME}} nor ${{file:PATH}}")
    try:
        return read(name).rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"the secret in {name} is not UTF-8") from None
    except OSError as error:
        raise ValueError(f"cannot read the secret in {name}: {error.strerror or error}") from None


def read_secret(path: str) -> str:
    """The text of a file that holds a secret. Raises OSError, also where it is too large to be one."""
    with Path(path).open("rb") as file:
        body = file.read(LARGEST_SECRET_BYTES + 1)
    if len(body) > LARGEST_SECRET_BYTES:
        raise OSError(f"it is larger than {LARGEST_SECRET_BYTES // 1024} KiB")
    return body.decode("utf-8")


def _from_reference(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not isinstance(value, Filled):
        raise ValueError("a secret does not stand in this file; write ${env:NAME} or ${file:PATH}")
    if not value or any(char in value for char in "\r\n\0"):
        raise ValueError("the secret is empty, or has more than one line")
    return str(value)


#: A text that must come from the environment or a file, and is never shown.
Secret: TypeAlias = Annotated[SecretStr, BeforeValidator(_from_reference)]
