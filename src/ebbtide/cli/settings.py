"""`config`: the settings of the service before it is started, a file to begin with, and tokens for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ebbtide.cli import console
from ebbtide.config import EXAMPLE, Config, Settings, Slots, catalogue_of, detections_of, load_config
from ebbtide.deliver.secret import read_secret
from ebbtide.deliver.sinks import LARGEST_SETTINGS_BYTES
from ebbtide.detect.detection import Detection
from ebbtide.errors import ConfigError, UsageError
from ebbtide.registry import load_detectors

app = typer.Typer(help="The settings of the service: check a file, or print one to begin with.", no_args_is_help=True)

ConfigFile = Annotated[Path, typer.Option("--config", help="The settings file.", envvar="EBBTIDE_CONFIG")]
DEFAULT_CONFIG = Path("ebbtide.yaml")
Configured = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The settings file of the service, for its budget. Default: the detections as they ship.",
        envvar="EBBTIDE_CONFIG",
    ),
]


def slots() -> Slots:
    """The sections of the settings that the service's servers check. The web server is optional: imported here."""
    from ebbtide.receive.settings import Receivers
    from ebbtide.service.front import WebSettings

    return {"receivers": Receivers, "web": WebSettings}


def read_text(path: Path) -> str:
    """The text of a settings file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_SETTINGS_BYTES + 1).decode("utf-8")
    except OSError as error:
        hint = "name another with --config FILE, or begin with: ebbtide config example > ebbtide.yaml"
        raise ConfigError(f"cannot read the settings in {path}: {error.strerror}", hint=hint) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 (byte {error.start})", hint="save it as UTF-8") from error


def read_settings(path: Path) -> Config:
    """The settings of a file, secrets filled. Raises ConfigError with every mistake."""
    return load_config(read_text(path), str(path), os.environ, read_secret, slots())


def configured_detections(config: Path | None) -> list[Detection]:
    """The detections a service with this settings file runs; None: those that run by default. Raises ConfigError."""
    return _detections_of(Settings() if config is None else read_settings(config).settings)


def _detections_of(settings: Settings) -> list[Detection]:
    detectors = load_detectors()
    return detections_of(settings.detections, catalogue_of(settings, detectors), detectors)


@app.command("check", help="Say every mistake of a settings file, with its line and a hint.")
def check_command(
    file: Annotated[Path | None, typer.Argument(help="The settings file; or name it with --config.")] = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Read the settings as the service would, detections included; exit code 2 where something is wrong."""
    config = file or config
    found = read_settings(config)
    chosen = _detections_of(found.settings)
    console.say(
        f"{config} is good: {len(chosen)} detections, {len(found.sinks)} sinks, store {found.settings.store.path}."
    )


@app.command("example", help="Print a settings file with every key.")
def example_command() -> None:
    """Print it as it is, to be saved."""
    typer.echo(EXAMPLE, nl=False)


_MAKING = "Make a token that nobody can guess, and say what goes into the settings of it."


@app.command("token", help=_MAKING, epilog="Example: ebbtide config token --to collector.token")
def token_command(
    to: Annotated[Path | None, typer.Option("--to", help="A new file for the token, readable by you alone.")] = None,
) -> None:
    """Print the SHA-256 that a receiver's settings hold, and the token itself unless it goes into a file."""
    from ebbtide.receive.tokens import new_token

    token, digest = new_token()
    if to is None:
        console.say(f"token: {token}")
    else:
        _write_secret(to, token)
    console.say(f"sha256: {digest}")
    console.warn(
        "senders get the token, their receiver `tokens: [{name, sha256}]`; for people it is the other way: "
        "`web.tokens: [{name, token: ${file:PATH}, scope}]`"
    )


def _write_secret(path: Path, secret: str) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret)
    except FileExistsError as error:
        raise UsageError(
            f"{path} is there", hint="whoever uses the token in it would be locked out; name another"
        ) from error
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="is its directory there, and yours?") from error
