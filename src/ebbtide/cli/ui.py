"""`ui`: the pages and the API over a file, on this machine. No receivers, no service: what is stored, to look at."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Annotated

import typer

from ebbtide import __version__
from ebbtide.cli import console
from ebbtide.cli.options import DEFAULT_DB, Db, Directory, load_catalogue
from ebbtide.errors import ServiceError
from ebbtide.registry import load_detectors
from ebbtide.store.store import Store

DEFAULT_PORT = 8765
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port on 127.0.0.1; 0 takes a free one.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ui", help=_UI, epilog="Example: ebbtide ui --db shop.duckdb")(ui_command)


_UI = (
    "Show a store in the browser: findings, entities, filters, tuning, health. For this machine alone (127.0.0.1), "
    "without log-in."
)


def ui_command(db: Db = DEFAULT_DB, port: Port = DEFAULT_PORT, directory: Directory = None) -> None:
    """Open the store, derive what is missing, serve until interrupted."""
    with Store.open(db, is_new_allowed=False) as store:
        store.roll_up()
        serve(store, port, directory)


def serve(store: Store, port: int, directory: Path | None = None) -> None:
    """Serve the pages over a store on loopback until interrupted. Raises ServiceError when the port is taken."""
    import uvicorn

    from ebbtide.web.app import make_app
    from ebbtide.web.offline import health_of
    from ebbtide.web.site import Site

    with _listen(port) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        site = Site(
            store=store,
            catalogue=load_catalogue(directory),
            detectors=load_detectors(),
            now=time.time_ns,
            health=lambda: health_of(store),
            version=__version__,
            public_url=url,
        )
        console.say(f"Open {url} in a browser. Stop with Ctrl-C.")
        config = uvicorn.Config(make_app(site), log_level="warning", server_header=False, proxy_headers=False)
        uvicorn.Server(config).run(sockets=[listening])


def _listen(port: int) -> socket.socket:
    """A socket on loopback, bound before anything says where it is."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise ServiceError(f"port {port} of 127.0.0.1 is taken", hint="give another --port, or 0 for any") from error
    listening.listen(128)  # from here on a connection waits instead of being refused
    return listening
