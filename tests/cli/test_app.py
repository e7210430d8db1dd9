import subprocess
import sys

COMMANDS = (
    "demo",
    "import",
    "detect",
    "backtest",
    "why",
    "findings",
    "explain",
    "export",
    "check",
    "simulate",
    "evaluate",
)
GROUPS = ("detections list", "detections show", "detections test", "filters list", "filters add", "filters remove")


def test_help_names_every_command(ebbtide):
    ran = ebbtide("--help")

    assert ran.code == 0
    for command in (*COMMANDS, "detections", "filters"):
        assert command in ran.out


def test_every_command_has_help(ebbtide):
    for words in (*COMMANDS, *GROUPS):
        assert ebbtide(*words.split(), "--help").code == 0


def test_a_wrong_option_is_usage(ebbtide):
    assert ebbtide("detect", "--no-such-option").code == 2


def test_it_runs_as_installed():
    program = "from ebbtide.cli.app import main; main()"
    words = [sys.executable, "-c", program, "detections", "list", "--json"]

    assert "corrected" in subprocess.run(words, capture_output=True, text=True, check=True).stdout
