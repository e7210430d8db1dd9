"""Asks a database of vulnerabilities about every version in constraints.txt; part of `make lint`.

Exit code 0: nothing is known against them, or nobody could be asked, which is said plainly: a build without a network
goes on. 1: something is known. With EBBTIDE_AUDIT=require (releases) being unable to ask is 1 too.

Before anything is believed, the database is asked about a version that is known to have a hole: one that answers, but
knows nothing, would call everything safe. EBBTIDE_OSV_URL names another database than api.osv.dev with the same API.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PINS = Path(__file__).parents[1] / "constraints.txt"
#: GHSA-vqfr-h8mv-ghfj: chunked bodies that are malformed. Never installed here.
CANARY = "h11==0.14.0"
_TIME_S = 600


@dataclass(frozen=True)
class Audit:
    """`asked`: packages that were answered for; `holes`: one line each; `skipped`: packages the database does not take;
    `failure`: why there is no answer at all, "" if there is one."""

    asked: int
    holes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    failure: str = ""


def ask(pins: Path) -> Audit:
    """What the database says about pinned versions. They are neither installed nor resolved."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(pins), "--no-deps", "--disable-pip"]
    command += ["--vulnerability-service", "osv", "--format", "json", "--desc", "off", "--progress-spinner", "off"]
    if url := os.environ.get("EBBTIDE_OSV_URL"):
        command += ["--osv-url", url]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIME_S)  # noqa: S603 ours
    except subprocess.TimeoutExpired:
        return Audit(0, failure=f"no answer in {_TIME_S} s")
    try:
        found = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = done.stderr.strip().splitlines()
        return Audit(0, failure=said[-1][:200] if said else f"pip-audit ended with {done.returncode}")
    holes = [
        f"{one['name']} {one['version']}: {hole['id']}, fixed in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for one in found
        for hole in one.get("vulns", ())
    ]
    skipped = [f"{one['name']}: {one['skip_reason']}" for one in found if "skip_reason" in one]
    return Audit(len(found) - len(skipped), tuple(holes), tuple(skipped))


def main(pins: Path) -> int:
    """Ask about the canary, then about the pins; the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder) / "canary.txt"
        canary.write_text(f"{CANARY}\n", "utf-8")
        probe = ask(canary)
    if not probe.holes:
        return _unasked(probe.failure or f"the database knows nothing against {CANARY}, which has a known hole")
    audit = ask(pins)
    if audit.failure:
        return _unasked(audit.failure)
    for line in (*audit.holes, *audit.skipped):
        print(line)
    print(f"{audit.asked} dependencies audited: {len(audit.holes) or 'no'} known vulnerabilities.")
    return 1 if audit.holes or (audit.skipped and _is_required()) else 0


def _unasked(why: str) -> int:
    print(f"NOT AUDITED: the dependencies were not checked for vulnerabilities: {why}", file=sys.stderr)
    return 1 if _is_required() else 0


def _is_required() -> bool:
    return os.environ.get("EBBTIDE_AUDIT") == "require"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else PINS))
