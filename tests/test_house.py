"""The house rules that a machine can check."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "ebbtide"
FILES = sorted(SOURCE.rglob("*.py"))
PURE = ("series.py", "baseline", "detect", "finding", "decode")
#: A pure room must not know these. `importlib.resources` (package data) is allowed.
IMPURE = {
    *("time", "os", "socket", "threading", "logging", "subprocess"),
    *("random", "urllib", "http", "shutil", "tempfile"),
}


def name_of(file: Path) -> str:
    return str(file.relative_to(SOURCE))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_has_at_most_400_lines(file):
    assert len(file.read_text("utf-8").splitlines()) <= 400


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_function_has_at_most_60_lines(file):
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


@pytest.mark.parametrize("file", [file for file in FILES if name_of(file).split("/")[0] in PURE], ids=name_of)
def test_a_pure_room_knows_no_clock_file_or_socket(file):
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not {name.split(".")[0] for name in names} & IMPURE
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in ("now", "utcnow", "today")


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_broad_except_has_its_reason_beside_it(file):
    lines = file.read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if re.match(r"\s*except( Exception| BaseException)?( as \w+)?:", line):
            is_raised_again = any(re.search(r"\braise\b", later) for later in lines[number + 1 : number + 12])
            assert "#" in line or is_raised_again, f"{name_of(file)}:{number + 1}"


@pytest.mark.parametrize("file", [file for file in FILES if file.name != "__init__.py"], ids=name_of)
def test_a_source_file_has_a_test_that_names_it(file):
    stem = file.stem
    texts = (test.read_text("utf-8") for test in (ROOT / "tests").rglob("test_*.py"))
    module = "ebbtide." + name_of(file).removesuffix(".py").replace("/", ".")
    package = module.rpartition(".")[0]
    named = any((ROOT / "tests").rglob(f"test_{stem}.py")) or any((ROOT / "tests").rglob(f"test_*_{stem}.py"))
    assert named or any(module in text or (f"from {package} import" in text and stem in text) for text in texts)
