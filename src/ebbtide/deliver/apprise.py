"""Chat, mail and paging: each change as a short text through one of the services that Apprise knows.

Confirmed as well as Apprise does: the service's answer. One service per sink, so that one that fails does not repeat
to the others. Apprise dials by itself: the address rules and deadlines of the other sinks do not hold here.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator

from ebbtide.deliver.secret import Secret
from ebbtide.deliver.sink import Delivery, Retryable, Sink, SinkSettings
from ebbtide.deliver.wording import Format, check_template, render, severity
from ebbtide.errors import ConfigError
from ebbtide.finding.lifecycle import Change
from ebbtide.finding.text import one_line

INSTALL = "pip install 'ebbtide[apprise]'"
_BODY = "$headline$\n\nEntity: $entity$\nTo: $destinations$\nSince: $opened$\nRisk: $risk_score$ ($severity$)\n$link$"
_ALIVE = "$headline$"
_KINDS = {"informational": "info", "low": "info", "medium": "warning"}


class AppriseSettings(SinkSettings):
    """`url` is Apprise's, such as `slack://...` or `mailto://...`; it holds the service's secret.

    `title` and `body` are templates; the body's tokens are escaped for `format`, the title is one plain line. Updates
    are left out unless asked for: a chat is for what changes someone's mind.
    """

    kind: ClassVar[str] = "apprise"

    type: Literal["apprise"]
    url: Secret
    title: Annotated[str, AfterValidator(check_template)] = "$test$[$severity$] $detection$ $change$"
    body: Annotated[str, AfterValidator(check_template)] = _BODY
    format: Literal[Format.TEXT, Format.MARKDOWN, Format.HTML] = Format.TEXT
    changes: tuple[Change, ...] = (Change.OPENED, Change.REOPENED, Change.CLOSED)

    @property
    def target(self) -> str:
        """The service's name."""
        return self.url.get_secret_value().partition("://")[0] + "://"

    def open(self) -> Sink:
        """A sink that notifies. Raises ConfigError where Apprise is missing or does not know the URL."""
        return Apprise(self, load_apprise())


def load_apprise() -> ModuleType:
    """The package, imported when it is used. Raises ConfigError with the line that installs it."""
    try:
        return importlib.import_module("apprise")
    except ImportError:
        raise ConfigError("a sink of type `apprise` needs the package apprise", hint=INSTALL) from None


class Apprise:
    """Notifies one service."""

    def __init__(self, settings: AppriseSettings, package: ModuleType) -> None:
        self._settings = settings
        #: `Any`: the package is optional.
        self._service: Any = package.Apprise()
        if not self._service.add(settings.url.get_secret_value()):
            raise ConfigError(
                f"Apprise knows no service for {settings.target} URLs like this one", hint="see Apprise's services"
            )

    def send(self, delivery: Delivery, now_ns: int) -> None:  # noqa: ARG002  (services stamp what they get)
        """Notify. Raises Retryable."""
        settings = self._settings
        word = severity(delivery.finding.risk.score)
        kind = "success" if delivery.change is Change.CLOSED else _KINDS.get(word, "failure")
        # The title becomes a mail's subject: one line, without what could start another header.
        words = "Ebbtide $change$" if delivery.is_heartbeat else settings.title
        title = one_line(render(words, delivery, Format.TEXT), 200)
        body = render(_ALIVE if delivery.is_heartbeat else settings.body, delivery, settings.format).strip()
        try:
            is_sent = self._service.notify(title=title, body=body, notify_type=kind, body_format=settings.format.value)
        except Exception as error:  # noqa: BLE001  a service's plug-in may raise anything; its text may hold the URL
            raise Retryable(f"{settings.target} failed: {type(error).__name__}") from None
        if not is_sent:
            raise Retryable(f"{settings.target} did not take the notification", hint="are its URL and token right?")

    def close(self) -> None:
        """Nothing is kept open."""
