"""The service's own HTTP port: probes and metrics, and the pages and the API behind them.

Addresses that others can reach need tokens and TLS where pages are served: whoever reads findings learns where to hide,
and whoever writes verdicts hides.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ebbtide.deliver.secret import Secret
from ebbtide.errors import ConfigError
from ebbtide.receive.port import HttpPort, PortBounds
from ebbtide.receive.settings import Tls
from ebbtide.receive.tokens import is_loopback
from ebbtide.service.probes import App
from ebbtide.service.vitals import Figures

#: People keep a page open, and browsers some connections for it.
_BOUNDS = PortBounds(connections=256, grace_s=5.0)


class WebToken(BaseModel):
    """Who may look, decide or administer; the token itself comes from the environment or a file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1, max_length=63)]
    token: Secret
    scope: Literal["read", "write", "admin"] = "read"


class WebSettings(BaseModel):
    """Where the service answers."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    address: Annotated[str, Field(pattern=r"^(\[[0-9a-fA-F:.]+\]|[^:\[\]\s]+):[0-9]{1,5}$")] = "127.0.0.1:8765"
    """HOST:PORT; port 0 lets the system choose."""

    public_url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    """Where people reach it."""

    tls: Tls | None = None
    """The certificate and its key; without, plain HTTP."""

    insecure: bool = False
    """Whether others may reach it without TLS, because a proxy or a port-forward in front has it."""

    tokens: tuple[WebToken, ...] = ()
    """Without any, whoever reaches the address may do everything; so then it must be a loopback address."""

    @property
    def host(self) -> str:
        """The host of the address, without brackets."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port of the address."""
        return int(self.address.rpartition(":")[2])

    @property
    def finding_link(self) -> str:
        """The page of a finding, with `{uid}` where its uid goes; "" where the settings do not tell an address of it.

        That is so of port 0, which the system chooses, and of 0.0.0.0 and [::], which nobody can open.
        """
        is_told = self.public_url or (self.port and self.host not in ("0.0.0.0", "::"))  # noqa: S104 compared, not bound
        return f"{self.url}/findings/{{uid}}" if is_told else ""

    @property
    def url(self) -> str:
        """Where people reach it, as far as the settings tell."""
        return self.public_url.rstrip("/") or f"{'https' if self.tls else 'http'}://{self.address}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(self.host)


class Front:
    """Serves one ASGI application; `has_pages` says whether it is more than probes. `port` is known once started."""

    def __init__(self, application: App, settings: WebSettings, *, has_pages: bool) -> None:
        self._settings = settings
        self._has_pages = has_pages
        self._refused: Counter[str] = Counter()
        self._port = HttpPort(application, settings, _BOUNDS, "front", self._refused_one, has_lifespan=has_pages)

    @property
    def port(self) -> int:
        """The open port, 0 before `start`."""
        return self._port.port

    def start(self) -> None:
        """Open the port.

        Raises ConfigError for an address that others can reach without what that needs, ServiceError for one that is
        taken.
        """
        if self._has_pages:
            check_open(self._settings)
        self._port.start()

    def stop(self) -> None:
        """Answer what is in flight and close."""
        self._port.stop()

    def figures(self) -> Figures:
        """Connections that were hung up on, by reason."""
        return Figures(capacity={f"pages_refused_{why}": float(many) for why, many in sorted(self._refused.items())})

    def _refused_one(self, why: str) -> None:
        self._refused[why] += 1


def check_open(settings: WebSettings) -> None:
    """Raise ConfigError where others reach the pages without TLS or without tokens.

    `insecure: true` says that something in front sees to TLS; tokens are needed in any case.
    """
    if settings.is_loopback:
        return
    missing = []
    if not settings.tokens:
        missing.append("`web.tokens`")
    if settings.tls is None and not settings.insecure:
        missing.append("TLS (`web.tls`)")
    if missing:
        raise ConfigError(
            f"web.address {settings.address} can be reached from other machines and lacks {' and '.join(missing)}",
            hint="listen on 127.0.0.1, add what is missing, or say `insecure: true` if a proxy in front has the TLS",
        )
