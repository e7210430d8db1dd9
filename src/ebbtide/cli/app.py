"""All commands together, errors with hints, and stable exit codes.

Exit codes: 0 done, 1 findings (only with --fail-on-findings), 2 usage or configuration, 3 data, 4 service.
"""

from __future__ import annotations

import os
import sys

import typer

from ebbtide.cli import (
    backfill,
    backtesting,
    catalogue,
    demo,
    entities,
    filters,
    findings,
    health,
    importing,
    judging,
    laboratory,
    learning,
    plans,
    serving,
    settings,
    sinks,
    triage,
    ui,
)
from ebbtide.cli.console import print_error
from ebbtide.errors import EbbtideError, UsageError
from ebbtide.meter.command import meter

app = typer.Typer(
    name="ebbtide",
    help="Learns what every process usually sends out, and says when something leaves that should not.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
demo.register(app)
importing.register(app)
backfill.register(app)
learning.register(app)
entities.register(app)
judging.register(app)
backtesting.register(app)
findings.register(app)
health.register(app)
serving.register(app)
triage.register(app)
ui.register(app)
laboratory.register(app)
app.command("meter")(meter)
app.add_typer(catalogue.app, name="detections")
app.add_typer(filters.app, name="filters")
app.add_typer(plans.app, name="plans")
app.add_typer(sinks.app, name="sinks")
app.add_typer(settings.app, name="config")


def main() -> None:
    """Run a command; whatever was raised on purpose becomes a message, a hint and an exit code."""
    try:
        app()
    except EbbtideError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "ebbtide":
            raise
        missing = UsageError(f"{error.name} is not installed", hint="pip install 'ebbtide[serve]' brings it")
        print_error(missing)
        sys.exit(missing.exit_code)
    except BrokenPipeError:
        # The reader went away (`| head`): say nothing, and keep Python from saying it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
