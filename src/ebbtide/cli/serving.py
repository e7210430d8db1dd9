"""`serve`, `backup` and `restore`: the live service, and its store in safety."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from ebbtide.cli import console
from ebbtide.cli.options import DEFAULT_DB, Db
from ebbtide.cli.remote import Server, TokenFile, remote_of
from ebbtide.cli.settings import DEFAULT_CONFIG, ConfigFile, read_settings
from ebbtide.errors import DataError, ServiceError
from ebbtide.registry import load_detectors
from ebbtide.store.store import Store


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("serve", help="Run the service: take data in, judge them as they come, deliver findings.",
                epilog="SIGTERM stops it gently, SIGHUP reads the settings anew.")(serve_command)  # fmt: skip
    app.command("backup", help="Copy a store into a new file, consistent; of a running service by --server.",
                epilog="Example: ebbtide backup --to b.duckdb --server http://[::1]:8765")(backup_command)  # fmt: skip
    app.command("restore", help="Put a backup in place of a store that is not in use.")(restore_command)


def serve_command(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Run until told to stop."""
    settings = read_settings(config)
    # What only the service needs is imported here: other commands start faster, and work without its packages.
    from ebbtide.service.process import Service
    from ebbtide.service.serving import servers_of
    from ebbtide.telemetry import Log

    service = Service(
        settings,
        detectors=load_detectors(),
        log=Log(sys.stderr, settings.settings.log.level),
        build=servers_of,
        read_config=lambda: read_settings(config),
    )
    service.run()


def backup_command(
    to: Annotated[Path, typer.Option("--to", help="A file that is not there yet.")],
    db: Db = DEFAULT_DB,
    server: Server = None,
    token_file: TokenFile = None,
) -> None:
    """Copy everything that is committed; a service asks for a token with the scope admin."""
    if remote := remote_of(server, token_file):
        size = remote.backup(to)
        console.say(f"{remote.url} is copied to {to} ({size:,} bytes).")
        return
    with Store.open(db, is_new_allowed=False) as store:
        store.backup(to)
    console.say(f"{db} is copied to {to} ({to.stat().st_size:,} bytes).")


def restore_command(
    backup: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")],
    db: Db = DEFAULT_DB,
    is_replacing: Annotated[bool, typer.Option("--replace", help="Put it in place of a store that is there.")] = False,
) -> None:
    """Check the backup by opening a copy of it, then put the copy in place at once."""
    if not backup.is_file():
        raise DataError(f"there is no backup {backup}", hint="give a file that `ebbtide backup` wrote")
    if db.exists():
        if not is_replacing:
            raise DataError(f"{db} is there", hint="say --replace to lose what is in it, or name another --db FILE")
        Store.open(db, is_new_allowed=False).close()  # refuses one that is in use
    partial = db.with_name(f"{db.name}.partial")
    try:
        shutil.copyfile(backup, partial)
        _prove(partial, backup)
        for log in (db.with_name(f"{db.name}.wal"), partial.with_name(f"{partial.name}.wal")):
            log.unlink(missing_ok=True)
        partial.replace(db)
    except OSError as error:
        raise ServiceError(f"cannot restore to {db}: {error.strerror}", hint="is the disk full?") from error
    finally:
        partial.unlink(missing_ok=True)
    console.say(f"{db} is what {backup} holds.")


def _prove(copy: Path, backup: Path) -> None:
    """Open the copy of a backup; what is wrong is said of the backup, which is the file that was named."""
    try:
        Store.open(copy, is_new_allowed=False).close()
    except DataError as error:
        hint = error.hint.replace("another --db FILE", "a file that `ebbtide backup` wrote")
        raise DataError(str(error).replace(str(copy), str(backup)), hint=hint) from error
