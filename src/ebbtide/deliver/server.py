"""The address of a server that somebody names, and whether a token may travel there. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit

from ebbtide.errors import UsageError

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def server_of(
    url: str, token: str, *, example: str, plaintext_hint: str, is_plaintext_allowed: bool = False
) -> SplitResult:
    """The parts of an http(s) address up to a path. Raises UsageError, with `example` for what is no address.

    A token travels in the clear to this machine alone, unless it is allowed; else `plaintext_hint` says what to do.
    """
    hint = f"write {example}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError(f"{url[:100]!r} is not a URL", hint=hint) from None
    is_plain = url.isascii() and not any(char <= " " or char == "\x7f" for char in url)
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not is_plain:
        raise UsageError(f"{url[:100]!r} is not an http(s) URL", hint=hint)
    if parts.username is not None or parts.password is not None:
        raise UsageError("a URL holds no user and no password", hint="give a token by --token-file")
    if parts.query or parts.fragment:
        raise UsageError(f"{url[:100]!r} has a query", hint=hint)
    if any(char <= " " or char > "~" for char in token):
        raise UsageError("the token holds characters no header may have", hint="is it the right file?")
    if token and parts.scheme == "http" and parts.hostname not in _LOOPBACK and not is_plaintext_allowed:
        raise UsageError("the token would travel over http://", hint=plaintext_hint)
    return parts
