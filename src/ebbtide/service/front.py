"""The service's own HTTP port: probes and metrics, and the pages and the API behind them.

uvicorn in a thread of its own. Addresses that others can reach need tokens where pages are served: whoever reads
findings learns where to hide, and whoever writes verdicts hides.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from typing import Annotated, Literal

import uvicorn
from pydantic import BaseModel, ConfigDict, Field

from ebbtide.deliver.secret import Secret
from ebbtide.errors import ConfigError, ServiceError
from ebbtide.service.probes import App
from ebbtide.service.vitals import Figures

_START_S = 10.0
_GRACE_S = 5


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
        """The page of a finding, with `{uid}` where its uid goes; "" while only the system knows the port."""
        if not self.public_url and not self.port:
            return ""
        return f"{(self.public_url or f'http://{self.address}').rstrip('/')}/findings/{{uid}}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class Front:
    """Serves one ASGI application; `has_pages` says whether it is more than probes. `port` is known once started."""

    def __init__(self, application: App, settings: WebSettings, *, has_pages: bool) -> None:
        self._application = application
        self._settings = settings
        self._has_pages = has_pages
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None
        self.port = 0

    def start(self) -> None:
        """Open the port. Raises ConfigError for an open address without tokens, ServiceError for one that is taken."""
        settings = self._settings
        if self._has_pages and not settings.is_loopback and not settings.tokens:
            raise ConfigError(
                f"web.address {settings.address} can be reached by others, and there are no web.tokens",
                hint="add tokens, or listen on 127.0.0.1",
            )
        self._socket = _bind(settings)
        self.port = self._socket.getsockname()[1]
        config = uvicorn.Config(
            self._application,
            loop="asyncio",
            ws="none",
            lifespan="on" if self._has_pages else "off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        self._server = uvicorn.Server(config)
        is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(is_up,), name="ebbtide-front", daemon=True)
        self._thread.start()
        is_up.wait(_START_S)

    def stop(self) -> None:
        """Answer what is in flight and close."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_GRACE_S + 3)
        if self._socket is not None:
            self._socket.close()

    def figures(self) -> Figures:
        """Nothing of its own."""
        return Figures()

    def _run(self, is_up: threading.Event) -> None:
        server, bound = self._server, self._socket
        if server is None or bound is None:
            raise ServiceError("the port is not open")
        # The socket listens already: what connects from here on waits until the loop runs.
        bound.listen(128)
        is_up.set()
        server.run(sockets=[bound])


def _bind(settings: WebSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
    except OSError as error:
        bound.close()
        hint = "is the port taken by another process?"
        raise ServiceError(f"cannot listen on {settings.address}: {error.strerror}", hint=hint) from error
    return bound
