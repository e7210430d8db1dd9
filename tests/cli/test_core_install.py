"""The core install, as `make demo` makes it: without the packages of the extras nothing ends in a traceback.

Covers `ebbtide.web.parameters`, the only module beside routes that the commands over a file must not need.
"""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
#: Refuses to import what only the extras bring, then runs the command line.
RUN = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {modules!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Refuse())
from ebbtide.cli.app import main
main()
"""


def of_extras() -> set[str]:
    """The top-level modules of the packages that extras for users name and the core does not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {Requirement(one).name for extra in ("grpc", "apprise", "serve") for one in extras[extra]}
    named = {canonicalize_name(one) for one in wanted} | {"starlette"}
    named -= {canonicalize_name(Requirement(one).name) for one in project["dependencies"]}
    packages = metadata.packages_distributions()
    return {module for module, owners in packages.items() if named & {canonicalize_name(one) for one in owners}}


def ran(*words: str, at: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN.format(modules=sorted(of_extras())), *words]
    return subprocess.run(command, cwd=at, capture_output=True, text=True, timeout=120, check=False)


def test_the_extras_bring_what_is_refused_here():
    assert {"fastapi", "starlette", "uvicorn", "grpc", "apprise", "cramjam", "prometheus_client"} <= of_extras()


@pytest.mark.parametrize(
    "words",
    [("entities",), ("learning",), ("health",), ("findings", "--budget"), ("detect",), ("detections", "list"),
     ("filters", "list"), ("plans", "list"), ("baseline", "masks"), ("config", "example"), ("config", "token")],
    ids=lambda words: "_".join(words),
)  # fmt: skip
def test_what_asks_a_file_needs_no_extra(words, db, tmp_path):
    over = () if words[0] in ("detections", "config") else ("--db", db)
    done = ran(*words, *over, at=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("serve",), ("ui",), ("demo", "--live"), ("config", "check")])
def test_what_serves_says_which_extra_it_needs(words, db, tmp_path):
    (tmp_path / "ebbtide.yaml").write_text("tick: 15s\n")
    (tmp_path / "ebbtide.duckdb").write_bytes((tmp_path / db).read_bytes())
    done = ran(*words, at=tmp_path)

    assert done.returncode == 2, done.stderr
    assert re.search(r"error: [a-z_0-9.]+ is not installed", done.stderr)
    assert "pip install 'ebbtide[serve]'" in done.stderr
