"""What a service opens: the receivers, and one port with probes, metrics, pages and API."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from ebbtide import __version__
from ebbtide.config import detections_of
from ebbtide.guard import Guard
from ebbtide.receive.settings import Receivers
from ebbtide.receive.snippet import sender_settings
from ebbtide.service.front import Front, WebSettings
from ebbtide.service.probes import Probes
from ebbtide.service.process import Server, Service
from ebbtide.service.receiving import Receiving
from ebbtide.telemetry import exposition
from ebbtide.web.app import make_app
from ebbtide.web.site import Scope, Site, Token

_SCOPES = {"read": Scope.READ, "write": Scope.WRITE, "admin": Scope.ADMIN}


def servers_of(service: Service) -> Sequence[Server]:
    """The servers of a service, as its settings say, not opened yet. Raises ConfigError for a token that is too short.

    The pages stop before the receivers: who decides can still look while the last data are written.
    """
    web, receivers = service.config.slots["web"], service.config.slots["receivers"]
    if not isinstance(web, WebSettings) or not isinstance(receivers, Receivers):
        raise TypeError("the sections `web` and `receivers` are of other models")
    pages = make_app(_site(service, web, receivers))
    probes = Probes(service.is_ready, lambda: exposition(service.health()), pages, service.trouble)
    guard = Guard(service.config.settings.guard)
    receiving = Receiving(service.store, receivers, guard, service.steady)
    return [receiving, Front(probes, web, has_pages=True)]


def _site(service: Service, web: WebSettings, receivers: Receivers) -> Site:
    known = service.catalogue
    running = detections_of(service.config.settings.detections, known, service.detectors)
    return Site(
        store=service.store,
        catalogue=known.with_changed(running),
        detectors=service.detectors,
        now=service.now,
        health=service.health,
        version=__version__,
        tokens=tuple(Token.of(one.name, one.token.get_secret_value(), _SCOPES[one.scope]) for one in web.tokens),
        public_url=web.url,
        sender_settings=sender_settings(receivers, urlsplit(web.url).hostname or web.host),
    )
