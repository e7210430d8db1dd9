"""Who may send: a token's hash, a network, or anyone who can reach a loopback listener.

In come an Authorization header and a peer's address, out goes a `Sender` or a `Refusal`. Tokens are random and long, so
their plain SHA-256 is enough at rest: there is nothing to guess. Without this room's own check a token would have to be
looked for in every protocol's code.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from ebbtide.errors import ConfigError
from ebbtide.receive.refusal import Reason, Refusal
from ebbtide.receive.settings import INGEST, Listener, Token

_PREFIX: Final = "ebt_"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends. `cluster` is the one it is pinned to, None where its points say it themselves."""

    name: str
    cluster: str | None


class Gate:
    """Lets senders of one listener in. Safe to use from any thread."""

    def __init__(self, listener: Listener) -> None:
        self._tokens = listener.tokens
        self._networks = listener.ingest_without_token
        self._pinned = listener.cluster if listener.is_pinned else None

    def admit(self, authorization: str | None, peer: str, *, scheme: str = "Bearer") -> Sender:
        """The sender of a request, by its Authorization header and its address. Raises Refusal."""
        if not self._tokens:
            if self._networks and not self._is_near(peer):
                raise Refusal(Reason.FORBIDDEN, "this address may not send without a token")
            return Sender(peer, self._pinned)
        if not authorization:
            raise Refusal(Reason.NO_TOKEN, "a token is required")
        found, _, secret = authorization.partition(" ")
        if found.lower() != scheme.lower() or not secret.strip():
            raise Refusal(Reason.BAD_AUTHORIZATION, f"the Authorization header is not `{scheme} TOKEN`")
        token = self._find(secret.strip())
        if token is None:
            raise Refusal(Reason.UNKNOWN_TOKEN, "the token is not known here")
        if INGEST not in token.scopes:
            raise Refusal(Reason.FORBIDDEN, f"the token lacks the scope {INGEST}")
        return Sender(token.name, token.cluster if token.cluster is not None else self._pinned)

    def _find(self, secret: str) -> Token | None:
        """Every token is compared, however early one fits: time tells nothing."""
        digest = digest_of(secret)
        found = None
        for token in self._tokens:
            if hmac.compare_digest(digest, token.sha256):
                found = token
        return found

    def _is_near(self, peer: str) -> bool:
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def digest_of(secret: str) -> str:
    """What is kept of a token: its SHA-256 in hexadecimal."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def new_token() -> tuple[str, str]:
    """A fresh token of 256 random bits, and what to keep of it: (token, sha256)."""
    secret = _PREFIX + secrets.token_urlsafe(32)
    return secret, digest_of(secret)


def check_bind(listener: Listener, *, where: str = "") -> None:
    """Raise ConfigError where an address that others can reach lacks TLS or a way to know its senders.

    `insecure: true` says that something in front of the listener takes care of both.
    """
    if listener.insecure or is_loopback(listener.host):
        return
    missing = []
    if listener.tls is None:
        missing.append("TLS (`tls: {certificate, key}`)")
    is_known = bool(listener.tokens or listener.ingest_without_token or (listener.tls and listener.tls.client_ca))
    if not is_known:
        missing.append("a way to know its senders (`tokens`, `tls.client_ca` or `ingest_without_token`)")
    if missing:
        raise ConfigError(
            f"{listener.address} can be reached from other machines and lacks {' and '.join(missing)}",
            where=where,
            hint="bind 127.0.0.1, add what is missing, or say `insecure: true` if a proxy or a network policy does it",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host's ports."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
