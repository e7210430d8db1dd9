"""What the pages and the API stand on, given by whoever serves them: a store, a catalogue, tokens, a clock, health.

Nothing here is global: two sites in one process share nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from ebbtide.detect.catalogue import Catalogue
from ebbtide.detect.detection import Detectors
from ebbtide.errors import ConfigError
from ebbtide.finding.filters import Filter
from ebbtide.health import Health
from ebbtide.store.store import Store

#: A token is recognisable, so that scanners of repositories can find one that leaked.
TOKEN_PREFIX = "ebbtide_"  # noqa: S105 a prefix, no secret
#: Shorter tokens could be guessed; 32 characters of base64 are 192 bits.
SHORTEST_TOKEN = 32


class Scope(IntEnum):
    """What a token may do; each includes those before it."""

    READ = 1  # look at everything
    WRITE = 2  # decide: verdicts, filters, backtests
    ADMIN = 3  # also cancel what others started, and take a copy of everything


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept: only its SHA-256, which is enough for secrets of high entropy."""

    name: str
    digest: str
    scope: Scope

    @classmethod
    def of(cls, name: str, text: str, scope: Scope) -> Token:
        """The record of a token's text. Raises ConfigError when the text is so short that it could be guessed."""
        if len(text) < SHORTEST_TOKEN:
            raise ConfigError(
                f"the token {name!r} is shorter than {SHORTEST_TOKEN} characters",
                hint='make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"',
            )
        return cls(name, digest_of(text), scope)


def digest_of(text: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def new_token() -> str:
    """A new token's text, to be shown once."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Site:
    """One site.

    `tokens` empty: no log-in, whoever reaches the address may do everything; only for loopback. `now` is the time in
    Unix nanoseconds. `health` tells how the service fares. `public_url` is where people reach it: its host is accepted
    beside `hosts` (`localhost` and loopback addresses always are). `session_key` signs cookies; None makes one for the
    life of the process, so that a restart logs everybody out. `sender_settings`: what a sender writes
    into its settings to send here, "" where nothing is received.
    `fixed_filters` come from files and can only be read here.
    """

    store: Store
    catalogue: Catalogue
    detectors: Detectors
    now: Callable[[], int]
    health: Callable[[], Health]
    version: str
    tokens: tuple[Token, ...] = ()
    public_url: str = "http://127.0.0.1:8765"
    hosts: tuple[str, ...] = ()
    session_key: str | None = None
    sender_settings: str = ""
    fixed_filters: tuple[Filter, ...] = ()
    most_body_bytes: int = 256 * 1024
