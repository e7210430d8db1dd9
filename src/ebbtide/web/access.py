"""Who asks, and what they may do: tokens for programs, a signed cookie for people.

The API takes `Authorization: Bearer`; what only reads is also served to a page's own session. A session is a cookie
that names a token's digest, so taking the token away ends it. Whatever a page changes needs the session's own value in
a field or header: another site can send the cookie along, but cannot read that value. Without tokens (loopback only)
there is no log-in, and the rest holds all the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from ebbtide.web.refusal import Refused, SeeOther
from ebbtide.web.site import Scope, Site, Token, digest_of

COOKIE = "ebbtide_session"
#: A session lasts a working day; who works longer logs in again.
SESSION_S = 12 * 3600
NOBODY = "local"


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks. `csrf` is the session's own value, "" for programs."""

    name: str
    scope: Scope
    csrf: str = ""

    @property
    def may_write(self) -> bool:
        """Whether they may decide."""
        return self.scope >= Scope.WRITE


@dataclass(frozen=True, slots=True)
class Posted:
    """A form that may be acted upon: who sent it, and its fields, each with all of its values."""

    who: Who
    fields: Mapping[str, tuple[str, ...]]

    def one(self, name: str, default: str = "") -> str:
        """The first value of a field, without blanks around it."""
        return next(iter(self.fields.get(name, ())), default).strip()


class Access:
    """Tokens and sessions of one site."""

    def __init__(self, site: Site) -> None:
        self._tokens = site.tokens
        self._is_secure = urlsplit(site.public_url).scheme == "https"
        self._signer = URLSafeTimedSerializer(site.session_key or secrets.token_urlsafe(32), salt="ebbtide-session")

    @property
    def is_open(self) -> bool:
        """Whether there is no log-in."""
        return not self._tokens

    def token(self, text: str) -> Token | None:
        """The token with this text; every token is compared, in constant time each."""
        digest = digest_of(text)
        found = None
        for one in self._tokens:
            if secrets.compare_digest(one.digest, digest):
                found = one
        return found

    def bearer(self, request: Request) -> Who | None:
        """Who a program says it is; None without the header. Raises Refused for a token that is not known."""
        header = request.headers.get("authorization")
        if header is None:
            return None
        kind, _, text = header.partition(" ")
        found = self.token(text.strip()) if kind.lower() == "bearer" else None
        if found is None:
            raise Refused(401, "the token is not known", "send a valid one as `Authorization: Bearer TOKEN`")
        return Who(found.name, found.scope)

    def session(self, request: Request) -> Who | None:
        """Who a page's cookie says they are."""
        text = request.cookies.get(COOKIE)
        if text is None:
            return None
        try:
            content = self._signer.loads(text, max_age=SESSION_S)
            digest, csrf = str(content["token"]), str(content["csrf"])
        except (BadSignature, KeyError, TypeError):
            return None
        if self.is_open:
            return Who(NOBODY, Scope.ADMIN, csrf)
        found = next((one for one in self._tokens if secrets.compare_digest(one.digest, digest)), None)
        return Who(found.name, found.scope, csrf) if found else None

    def begin(self, response: Response, token: Token | None) -> None:
        """Give the browser a new session."""
        content = {"token": token.digest if token else "", "csrf": secrets.token_urlsafe(24)}
        response.set_cookie(
            COOKIE, self._signer.dumps(content), max_age=SESSION_S, path="/", httponly=True, samesite="lax",
            secure=self._is_secure,
        )  # fmt: skip

    def end(self, response: Response) -> None:
        """Take the session back."""
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=self._is_secure)


def access_of(request: Request) -> Access:
    """The site's access."""
    found: Access = request.app.state.access
    return found


def site_of(request: Request) -> Site:
    """The site."""
    found: Site = request.app.state.site
    return found


def api_reader(request: Request) -> Who:
    """Whoever may read through the API."""
    access = access_of(request)
    who = access.bearer(request) or access.session(request)
    if who is None and access.is_open:
        return Who(NOBODY, Scope.ADMIN)
    if who is None:
        raise Refused(401, "a token is needed", "send one as `Authorization: Bearer TOKEN`")
    return who


def api_writer(request: Request) -> Who:
    """Whoever may change things through the API: never a page's session, which would need more than the cookie."""
    access = access_of(request)
    who = access.bearer(request)
    if who is None and access.is_open:
        return Who(NOBODY, Scope.ADMIN)
    if who is None:
        raise Refused(401, "a token is needed", "send one as `Authorization: Bearer TOKEN`")
    return _writing(who)


def api_admin(request: Request) -> Who:
    """Whoever may take everything there is through the API."""
    who = api_writer(request)
    if who.scope < Scope.ADMIN:
        raise Refused(403, f"{who.name} is no administrator", "use a token with the scope admin")
    return who


def page_reader(request: Request) -> Who:
    """Whoever looks at a page; who is not known is sent to the log-in and comes back from there."""
    access = access_of(request)
    who = access.session(request)
    if who is not None:
        return who
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    # Also where there is no log-in: a session is begun there, as forms need its value.
    raise SeeOther(f"/login?next={quote(here, safe='')}")


async def page_writer(request: Request) -> Posted:
    """A form of a page, from whom it says it is. Raises Refused when it cannot have come from our own page."""
    who = access_of(request).session(request)
    if who is None:
        raise Refused(401, "the session has ended", "open the page again and log in")
    form = await request.form(max_files=0, max_fields=1_000)
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            fields[name] = (*fields.get(name, ()), value)
    sent = request.headers.get("x-csrf-token") or next(iter(fields.get("csrf", ())), "")
    if not secrets.compare_digest(sent.encode(), who.csrf.encode()):
        raise Refused(403, "the form is not from this session", "reload the page and try again")
    return Posted(_writing(who), fields)


def _writing(who: Who) -> Who:
    if not who.may_write:
        raise Refused(403, f"{who.name} may only read", "ask for a token with the scope write")
    return who


def local_path(text: str) -> str:
    """The text if it is a path of this site, else the first page: where a form may send its user next.

    >>> local_path("/findings?state=all"), local_path("//evil.example"), local_path("https://evil.example")
    ('/findings?state=all', '/findings', '/findings')
    """
    is_local = text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if is_local and text.isprintable() and "\\" not in text else "/findings"


ApiReader = Annotated[Who, Depends(api_reader)]
ApiWriter = Annotated[Who, Depends(api_writer)]
ApiAdmin = Annotated[Who, Depends(api_admin)]
PageReader = Annotated[Who, Depends(page_reader)]
PageWriter = Annotated[Posted, Depends(page_writer)]
TheSite = Annotated[Site, Depends(site_of)]
TheAccess = Annotated[Access, Depends(access_of)]
