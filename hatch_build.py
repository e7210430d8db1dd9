"""Compiles the meter's eBPF programs when the package is built, if clang is there.

The object is the same for every machine of one byte order, so a wheel built once serves x86-64 and arm64; nobody needs
clang to install it. Without clang the build goes on: `ebbtide meter` then says what is missing and how to get it.
EBBTIDE_BPF=require makes a missing clang an error (release builds), EBBTIDE_BPF=skip leaves the object out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("src/ebbtide/meter/meter.bpf.c")
INSTALLED = "ebbtide/meter/meter.bpf.o"


class BpfBuildHook(BuildHookInterface[Any]):
    """Puts meter.bpf.o beside its source and into the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, or keep an object that is newer than its source, or go on without one."""
        mode = os.environ.get("EBBTIDE_BPF", "auto")
        source = Path(self.root) / SOURCE
        target = source.with_suffix(".o")
        if mode == "skip" or self.target_name != "wheel":
            return
        problem = compile_object(source, target)
        if problem and mode == "require":
            raise RuntimeError(f"meter.bpf.o was not built: {problem}")
        if problem and target.exists() and not is_newer(target, source.parent):
            target.unlink()  # of other programs than these
        if problem:
            self.app.display_warning(f"ebbtide meter will not have eBPF: {problem}")
        if target.exists() and version != "editable":
            build_data["force_include"][str(target)] = INSTALLED


def is_newer(target: Path, folder: Path) -> bool:
    """Whether an object was compiled after the last change of any C file."""
    sources = [*folder.glob("*.c"), *folder.glob("*.h")]
    return target.stat().st_mtime >= max(source.stat().st_mtime for source in sources)


def compile_object(source: Path, target: Path) -> str:
    """Compile the programs; what kept it from being done, "" for nothing."""
    clang = shutil.which("clang")
    if clang is None:
        return "clang is not installed (apt-get install clang libbpf-dev)"
    endian = "bpfel" if sys.byteorder == "little" else "bpfeb"
    multiarch = sysconfig.get_config_var("MULTIARCH") or f"{os.uname().machine}-linux-gnu"
    command = [clang, "-O2", "-g", "-mcpu=v2", "-target", endian, "-Wall", "-Werror"]
    command += [
        "-fdebug-compilation-dir=.",
        f"-I/usr/include/{multiarch}",
        "-c",
        source.name,
        "-o",
        str(target.resolve()),
    ]
    done = subprocess.run(command, cwd=source.parent, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stderr.strip() if done.returncode else ""
